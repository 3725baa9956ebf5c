// Uploads that go on where they were cut off, for files.router(..., uploads=True): after a pause, when the server was
// away, and when the tab was closed and the same file is chosen again. It speaks tus 1.0 (https://tus.io).

const PREFIX = "resumable:"; // of what localStorage remembers, by the file and where it goes
const TUS = { "Tus-Resumable": "1.0.0" };
const [SMALLEST, LARGEST] = [2 ** 18, 2 ** 25]; // bytes of one request, which is to take about a second
const [SHORTEST_WAIT, LONGEST_WAIT, SILENCE] = [250, 4000, 60_000]; // milliseconds
const PASSING = [408, 423, 425, 429, 502, 503, 504, "upload-not-found", "upload-offset"]; // the next try may do better
const underway = new Map(); // keys → uploads: a file that is chosen twice is two of them

/** What a server refused: `problem` is the body of its answer (RFC 9457), or null. */
export class UploadError extends Error {
  constructor({ status, headers, url }, problem) {
    super(problem?.detail ?? `The server answered with an error (${status}).`);
    Object.assign(this, { status, headers, url, problem, kind: problem?.type?.split(":").at(-1) });
  }
}

export class ResumableUpload {
  state = "waiting"; // → sending, away (the server, for now), saving → stored, or paused, or failed
  #record = {}; // what the next tab is to know: url, acknowledged, and what `unfinished` shows
  #step = SMALLEST;
  #failures = 0; // since the server has got more
  #stop = new AbortController();

  /**
   * `router` is the URL of the router, `fields` are those of the new row. `claim` is the request that takes the upload,
   * if it is another one: { method: "PUT", url: "/documents/7/file" }. `headers` are an object, or a function.
   */
  constructor(file, { router, fields = {}, claim, column, headers = {}, onChange = () => {} }) {
    this.router = new URL(router.replace(/\/?$/, "/"), document.baseURI).href;
    this.uploads = `${this.router}uploads`;
    Object.assign(this, { file, fields, claim, column, headers, onChange });
    this.key = PREFIX + JSON.stringify([this.uploads, column, file.name, file.size, file.lastModified]);
  }

  /** Bytes that the server has said it has. */
  get acknowledged() {
    return this.#record.acknowledged ?? 0;
  }

  /** Send what is missing, and return the row; `pause` ends it with an AbortError, and it may run again. */
  async run() {
    this.#stop = new AbortController();
    if ((underway.get(this.key) ?? this) !== this) this.key += crypto.getRandomValues(new Uint32Array(2)).join();
    underway.set(this.key, this);
    try {
      let row;
      while (row === undefined) row = await this.#attempt().catch((error) => this.#recover(error));
      return row;
    } catch (error) {
      this.#become(this.#stop.signal.aborted ? "paused" : "failed");
      throw error;
    } finally {
      underway.delete(this.key);
    }
  }

  /** Stop for now: what the server has it keeps, for a day by default. */
  pause() {
    this.#stop.abort();
  }

  /** Stop for good. */
  async cancel() {
    const { url } = this.#record;
    this.pause();
    this.#record = {};
    await abandon({ key: this.key, url }, this.headers);
  }

  async #attempt() {
    if (!this.#record.url) this.#record = storage((local) => JSON.parse(local.getItem(this.key))) ?? {};
    // Of what is whole there is a row, perhaps, and only the answer was lost: to ask for it is to claim it again.
    if (this.#record.acknowledged !== this.file.size) {
      await this.#find();
      this.#become("sending");
      while (this.acknowledged < this.file.size) await this.#append();
    }
    this.#become("saving");
    const row = await this.#take();
    storage((local) => local.removeItem(this.key));
    this.#become("stored");
    return row;
  }

  /** Wait until another try may do better; raise an error that will not pass. */
  async #recover(error) {
    const { kind, status, headers } = error;
    const isPassing = PASSING.includes(status) || PASSING.includes(kind);
    if (this.#stop.signal.aborted || (error instanceof UploadError && !isPassing)) throw error;
    if (kind === "upload-not-found") this.#record.acknowledged = undefined; // it has ended: begin anew
    if (error.name === "TimeoutError") this.#step = SMALLEST;
    await this.file.slice(0, 1).arrayBuffer(); // NotReadableError: it is the file that is gone, not the server
    if (kind !== "upload-offset" && kind !== "upload-assembling") this.#become("away");
    const told = Number(headers?.get("Retry-After")) * 1000;
    await new Promise((resolve) => {
      setTimeout(resolve, told || Math.min(SHORTEST_WAIT * 2 ** this.#failures, LONGEST_WAIT));
      this.#stop.signal.addEventListener("abort", resolve, { once: true });
    });
    this.#failures += 1;
  }

  /** Ask how far the upload is, or begin one. */
  async #find() {
    const found = this.#record.url && (await this.#fetch(this.#record.url, "HEAD", TUS));
    if (found?.ok) return this.#note(found); // else it has ended
    const { name, size, type } = this.file;
    const metadata = Object.entries({ filename: name, filetype: type, field: this.column });
    const pairs = metadata.filter(([, value]) => value).map(([key, value]) => `${key} ${base64(value)}`);
    const headers = { ...TUS, "Upload-Length": size, "Upload-Metadata": pairs.join() };
    const begun = await this.#fetch(this.uploads, "POST", headers);
    const url = new URL(begun.headers.get("Location"), begun.url).href;
    this.#record = { url, name, size, claim: this.claim, fields: this.claim && this.fields };
    this.#note(begun);
  }

  async #append() {
    const [start, began] = [this.acknowledged, performance.now()];
    const headers = { ...TUS, "Upload-Offset": start, "Content-Type": "application/offset+octet-stream" };
    this.#note(await this.#fetch(this.#record.url, "PATCH", headers, this.file.slice(start, start + this.#step)));
    const passed = (this.#step * 1000) / (performance.now() - began); // bytes in a second
    this.#step = Math.min(Math.max(passed, SMALLEST), this.#step * 2, LARGEST);
  }

  /** Have a row take the upload, and return what is told of the row; it may have done so before. */
  async #take() {
    const { claim, fields } = this.claim || !this.#record.claim ? this : this.#record; // another tab may have had one
    const { method, url } = claim ?? { method: "POST", url: this.router };
    const body = JSON.stringify({ ...fields, upload: this.#record.url.split("/").at(-1) });
    const answer = await this.#fetch(url, method, { "Content-Type": "application/json" }, body).catch((error) => {
      const row = error.kind === "upload-claimed" && error.headers.get("Location");
      if (row) return this.#fetch(new URL(row, error.url), "GET");
      throw error;
    });
    return answer.headers.get("Content-Type")?.includes("json") ? answer.json() : null;
  }

  async #fetch(url, method, headers, body) {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(SILENCE)]);
    const all = { ...(await valueOf(this.headers)), ...headers };
    const answer = await fetch(url, { method, body, signal, headers: all });
    if (answer.ok || (method === "HEAD" && answer.status === 404)) return answer;
    throw new UploadError(answer, await answer.json().catch(() => null));
  }

  #note({ headers }) {
    const acknowledged = Number(headers.get("Upload-Offset"));
    if (acknowledged > this.acknowledged) this.#failures = 0;
    Object.assign(this.#record, { acknowledged, expires: Date.parse(headers.get("Upload-Expires")) });
    storage((local) => local.setItem(this.key, JSON.stringify(this.#record)));
    this.onChange(this);
  }

  #become(state) {
    if (state !== this.state) this.onChange(Object.assign(this, { state }));
  }
}

/** Return what tabs have left unfinished: { key, url, name, size, acknowledged, expires } of each. */
export function unfinished() {
  const entries = (local) => Object.entries(local).filter(([key]) => key.startsWith(PREFIX) && !underway.has(key));
  const records = storage((local) => entries(local).map(([key, text]) => ({ ...JSON.parse(text), key }))) ?? [];
  return records.filter(({ expires }) => !(expires < Date.now()));
}

/** End one of them for good; where the server can't be reached, it expires. */
export async function abandon({ key, url }, headers = {}) {
  storage((local) => local.removeItem(key));
  if (url) await fetch(url, { method: "DELETE", headers: await valueOf(headers) }).catch(() => {});
}

/** Use what a browser remembers, if it does. */
function storage(use) {
  try {
    return use(localStorage);
  } catch {} // it is full, or forbidden
}

const valueOf = (headers) => (typeof headers === "function" ? headers() : headers);
const base64 = (text) => btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
