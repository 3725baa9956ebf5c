// One file on its way to the server: a form takes a small one, a large one goes in parts that are never lost.

import { ResumableUpload } from "../modules/resumable.js";
import { DOCUMENTS } from "./api.js";
import { Pace, pace } from "./pace.js";
import { explain, send } from "./send.js";

const LONGEST_TITLE = 200; // characters, as the model's column
const LARGE = 8 * 2 ** 20; // bytes

/**
 * States: waiting → sending → saving → stored, or failed, or cancelled; a large file may be paused, and the server away
 * for a while. `onChange` is called at each step. With a document to replace, the file takes the place of its file.
 */
export class Upload {
  state = "waiting";
  sent = 0; // bytes: of a large file those that the server has said it has
  error = "";
  stored = null;
  onChange = () => {};
  #pace = new Pace();
  #abort = new AbortController();
  #resumable = null;

  constructor(file, replaces = null) {
    this.file = file;
    this.replaces = replaces;
    this.#resumable = file.size > LARGE ? this.#makeResumable() : null;
  }

  get active() {
    return ["waiting", "sending", "away", "saving"].includes(this.state);
  }

  get isResumable() {
    return this.#resumable !== null;
  }

  /** What is remembered of it when its tab is closed, or undefined. */
  get key() {
    return this.#resumable?.key;
  }

  /** Bytes per second of this one alone, or 0. */
  get speed() {
    return this.state === "sending" ? this.#pace.speed : 0;
  }

  /** Make it ready to run again. */
  reset() {
    this.#abort = new AbortController();
    this.#become({ state: "waiting", sent: this.#resumable?.acknowledged ?? 0, error: "" });
  }

  pause() {
    this.#become({ state: "paused" });
    this.#resumable.pause();
  }

  cancel() {
    this.#become({ state: "cancelled", sent: 0 });
    this.#abort.abort();
    this.#resumable?.cancel();
  }

  async run() {
    this.#become({ state: "sending" });
    try {
      const stored = await (this.#resumable?.run() ?? this.#sendForm());
      this.#become({ state: "stored", sent: this.file.size, stored });
    } catch (problem) {
      if (this.active) this.#become({ state: "failed", error: (await explain(problem, this.file)).message });
    }
  }

  get #fields() {
    return this.replaces ? {} : { title: [...this.file.name].slice(0, LONGEST_TITLE).join("") };
  }

  get #target() {
    return this.replaces ? { method: "PUT", url: `${DOCUMENTS}${this.replaces.id}/file` } : { method: "POST", url: DOCUMENTS };
  }

  #makeResumable() {
    return new ResumableUpload(this.file, {
      router: DOCUMENTS,
      claim: this.replaces ? this.#target : undefined, // else that of the tab that began it, if it has one
      fields: this.#fields,
      onChange: ({ state, acknowledged }) => {
        // What an earlier tab has sent is no speed of this one.
        if (state === "sending") this.#count(acknowledged - this.sent);
        if (this.active) this.#become({ state: this.#isKnown(state) ? state : this.state, sent: acknowledged });
      },
    });
  }

  #isKnown(state) {
    return ["sending", "away", "saving"].includes(state);
  }

  #sendForm() {
    const form = new FormData();
    for (const [name, value] of Object.entries(this.#fields)) form.set(name, value);
    form.set("file", this.file);
    const onProgress = (part) => this.#progress(part);
    return send(this.#target.method, this.#target.url, form, { signal: this.#abort.signal, onProgress });
  }

  #progress(part) {
    if (!this.active) return;
    const sent = Math.floor(part * this.file.size);
    this.#count(sent - this.sent);
    this.#become({ state: part < 1 ? "sending" : "saving", sent });
  }

  #count(bytes) {
    for (const each of [pace, this.#pace]) each.add(Math.max(0, bytes));
  }

  #become(change) {
    Object.assign(this, change);
    this.onChange();
  }
}
