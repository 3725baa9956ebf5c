// One file on its way to the server.

import { DOCUMENTS } from "./api.js";
import { explain, send } from "./send.js";

const LONGEST_TITLE = 200; // characters, as the model's column

/**
 * States: waiting → sending → saving → stored, or failed, or cancelled; `onChange` is called at each step.
 * With a document to replace, the file takes the place of that document's file.
 */
export class Upload {
  state = "waiting";
  sent = 0; // 0 to 1
  error = "";
  stored = null;
  onChange = () => {};
  #abort = new AbortController();

  constructor(file, replaces = null) {
    this.file = file;
    this.replaces = replaces;
  }

  get active() {
    return ["waiting", "sending", "saving"].includes(this.state);
  }

  /** Make it ready to run again. */
  reset() {
    this.#abort = new AbortController();
    this.#become({ state: "waiting", sent: 0, error: "" });
  }

  cancel() {
    this.#abort.abort();
    this.#become({ state: "cancelled" });
  }

  async run() {
    this.#become({ state: "sending" });
    try {
      const stored = await this.#send();
      this.#become({ state: "stored", sent: 1, stored });
    } catch (problem) {
      if (this.state !== "cancelled") this.#become({ state: "failed", error: (await explain(problem, this.file)).message });
    }
  }

  #send() {
    const options = { signal: this.#abort.signal, onProgress: (sent) => this.#progress(sent) };
    const form = new FormData();
    if (!this.replaces) form.set("title", [...this.file.name].slice(0, LONGEST_TITLE).join(""));
    form.set("file", this.file);
    return this.replaces
      ? send("PUT", `${DOCUMENTS}${this.replaces.id}/file`, form, options)
      : send("POST", DOCUMENTS, form, options);
  }

  #progress(sent) {
    if (this.active) this.#become({ state: sent < 1 ? "sending" : "saving", sent });
  }

  #become(change) {
    Object.assign(this, change);
    this.onChange();
  }
}
