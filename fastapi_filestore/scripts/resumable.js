// Uploads that go on where they were cut off, for files.router(..., uploads=True): after a pause, when the server was
// away, and when the tab was closed and the same file is chosen again. It speaks tus 1.0 (https://tus.io).

const PREFIX = "resumable:"; // of what localStorage remembers, by the file and where it goes
const TUS = { "Tus-Resumable": "1.0.0" };
const JSON_TYPE = { "Content-Type": "application/json" };
const [SMALLEST, LARGEST] = [2 ** 18, 2 ** 25]; // bytes of one request, which is to take about a second
const [QUICK, SLOW, SILENCE, LONGEST_WAIT] = [500, 2000, 60_000, 4000]; // milliseconds
const PASSING = [408, 423, 425, 429, 502, 503, 504]; // answers that the next try may not get
const underway = new Set(); // a file that is chosen twice is two uploads

/** What a server refused: `problem` is the body of its answer (RFC 9457), or null. */
export class UploadError extends Error {
  constructor({ status, headers }, problem) {
    super(problem?.detail ?? `The server answered with an error (${status}).`);
    Object.assign(this, { status, headers, problem, kind: problem?.type?.split(":").at(-1) });
  }
}

export class ResumableUpload {
  state = "waiting"; // → sending, away (the server, for now), saving → stored, or paused, or failed
  acknowledged = 0; // bytes that the server has said it has
  #upload = {}; // url, isWhole (all bytes are there, only the row is not), and what `unfinished` shows
  #step = SMALLEST;
  #stop = new AbortController();
  #headers;

  /**
   * `router` is the URL of the router, `fields` are those of the new row. `claim` is the request that makes the row, if
   * it is another one: { method: "PUT", url: "/documents/7/file" }. `headers` go with each request; it may be a function.
   */
  constructor(file, { router, fields = {}, claim, column, headers = {}, onChange = () => {} }) {
    const base = new URL(router.replace(/\/?$/, "/"), document.baseURI);
    Object.assign(this, { file, fields, column, onChange, claim: claim ?? { method: "POST", url: base } });
    this.#headers = typeof headers === "function" ? headers : () => headers;
    this.uploads = new URL("uploads", base);
    this.key = PREFIX + JSON.stringify([this.uploads, column, file.name, file.size, file.lastModified]);
    if (underway.has(this.key)) this.key += crypto.getRandomValues(new Uint32Array(2)).join();
  }

  /** Send what is missing, and return the row; `pause` ends it with an AbortError, and it may run again. */
  async run() {
    this.#stop = new AbortController();
    underway.add(this.key);
    try {
      for (let failures = 0; ; failures += 1) {
        const before = this.acknowledged;
        try {
          return await this.#attempt();
        } catch (error) {
          await this.#consider(error);
          if (this.acknowledged > before) failures = 0;
          const told = Number(error.headers?.get("Retry-After")) * 1000;
          await this.#wait(told || Math.min(250 * 2 ** failures, LONGEST_WAIT));
        }
      }
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
    const { url } = this.#upload;
    this.pause();
    this.#forget();
    this.acknowledged = 0;
    if (url) await abandon({ url, key: this.key }, await this.#headers());
  }

  async #attempt() {
    if (!this.#upload.url) this.#upload = storage((local) => JSON.parse(local.getItem(this.key))) ?? {};
    if (!this.#upload.isWhole) {
      if (!(this.#upload.url && (await this.#find()))) await this.#begin();
      this.#become("sending");
      while (this.acknowledged < this.file.size) await this.#append();
      this.#remember({ isWhole: true });
    }
    this.acknowledged = this.file.size;
    this.#become("saving");
    const row = await this.#take();
    this.#forget();
    this.#become("stored");
    return row;
  }

  /** Raise an error that will not pass, and see to what the others ask for. */
  async #consider(error) {
    if (error.kind === "upload-not-found") this.#forget(); // it has ended: begin anew
    const isPassing = PASSING.includes(error.status) || ["upload-not-found", "upload-offset"].includes(error.kind);
    if (this.#stop.signal.aborted || (error instanceof UploadError && !isPassing)) throw error;
    if (error.name === "TimeoutError") this.#step = SMALLEST;
    await this.file.slice(0, 1).arrayBuffer(); // NotReadableError: it is the file that is gone, not the server
    if (error.kind !== "upload-offset") this.#become("away");
  }

  /** Ask how far the upload is; return whether it is there still. */
  async #find() {
    const answer = await this.#fetch(this.#upload.url, "HEAD", TUS).catch(unlessGone);
    if (answer) this.#note(answer);
    return answer !== null;
  }

  async #begin() {
    const metadata = Object.entries({ filename: this.file.name, filetype: this.file.type, field: this.column });
    const pairs = metadata.filter(([, value]) => value).map(([name, value]) => `${name} ${base64(value)}`);
    const headers = { ...TUS, "Upload-Length": this.file.size, "Upload-Metadata": pairs.join() };
    const answer = await this.#fetch(this.uploads, "POST", headers);
    this.#upload = { url: new URL(answer.headers.get("Location"), this.uploads).href };
    this.#note(answer);
  }

  async #append() {
    const [start, began] = [this.acknowledged, performance.now()];
    const headers = { ...TUS, "Upload-Offset": start, "Content-Type": "application/offset+octet-stream" };
    this.#note(await this.#fetch(this.#upload.url, "PATCH", headers, this.file.slice(start, start + this.#step)));
    const took = performance.now() - began;
    if (took < QUICK) this.#step = Math.min(this.#step * 2, LARGEST);
    if (took > SLOW) this.#step = Math.max(this.#step / 2, SMALLEST);
  }

  async #take() {
    const body = JSON.stringify({ ...this.fields, upload: this.#upload.url.split("/").at(-1) });
    try {
      return await (await this.#fetch(this.claim.url, this.claim.method, JSON_TYPE, body)).json();
    } catch (error) {
      if (error.kind !== "upload-claimed") throw error;
      // The row was made already, and the answer was lost.
      return (await this.#fetch(new URL(error.headers.get("Location"), this.uploads), "GET")).json();
    }
  }

  async #fetch(url, method, headers, body) {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(SILENCE)]);
    const answer = await fetch(url, { method, body, signal, headers: { ...(await this.#headers()), ...headers } });
    if (answer.ok) return answer;
    throw new UploadError(answer, await answer.json().catch(() => null));
  }

  #wait(milliseconds) {
    return new Promise((resolve) => {
      setTimeout(resolve, milliseconds);
      addEventListener("online", resolve, { once: true });
      this.#stop.signal.addEventListener("abort", resolve, { once: true });
    });
  }

  #note({ headers }) {
    this.acknowledged = Number(headers.get("Upload-Offset"));
    this.#remember({ acknowledged: this.acknowledged, expires: Date.parse(headers.get("Upload-Expires")) });
    this.onChange(this);
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.onChange(this);
  }

  #remember(news) {
    const { name, size } = this.file;
    Object.assign(this.#upload, news, { name, size });
    storage((local) => local.setItem(this.key, JSON.stringify(this.#upload)));
  }

  #forget() {
    this.#upload = {};
    storage((local) => local.removeItem(this.key));
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
  await fetch(url, { method: "DELETE", headers }).catch(() => {});
}

/** Use what a browser remembers, if it does. */
function storage(use) {
  try {
    return use(localStorage);
  } catch {
    return undefined; // it is full, or forbidden
  }
}

function unlessGone(error) {
  if (error.status !== 404) throw error;
  return null;
}

const base64 = (text) => btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
