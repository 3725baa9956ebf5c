// The uploads on the page: a progress bar, words and buttons for each.

import { action, announce, byId, copyOf, focusSoftly, label, setIcon, showError } from "./dom.js";
import { kind, size, timeLeft } from "./format.js";
import { pace } from "./pace.js";
import { Queue } from "./queue.js";

const AT_ONCE = 3;
const FAREWELL = 2500; // milliseconds that a finished upload stays to be seen
const BEAT = 500; // milliseconds after which speed and time left are told anew
const VERBS = { retry: "Retry", choose: "Choose the file again for", pause: "Pause", resume: "Resume", cancel: "Cancel", dismiss: "Dismiss" };

export class UploadList {
  #queue = new Queue(AT_ONCE);
  #uploads = new Map(); // upload → its element
  #stored = 0;
  #storedBytes = 0;

  constructor({ onStored }) {
    this.onStored = onStored;
    this.list = byId("upload-list");
    setInterval(() => this.#beat(), BEAT);
  }

  get busy() {
    return [...this.#uploads.keys()].some((upload) => upload.active);
  }

  /** Show uploads and send them, up to three at once. */
  add(uploads) {
    for (const upload of uploads) upload.sent = this.#replace(upload.key);
    this.show(uploads);
    for (const upload of uploads) this.#queue.add(upload);
  }

  /** Drop what stands still of a file that is chosen again, and return its bytes: the new one goes on with them. */
  #replace(key) {
    const isOver = (upload) => key && key === upload.key && !upload.active && upload.state !== "stored";
    const over = [...this.#uploads.keys()].filter(isOver);
    for (const upload of over) this.#remove(upload);
    return Math.max(0, ...over.map(({ sent }) => sent));
  }

  show(uploads) {
    for (const upload of uploads) {
      const element = this.#elementOf(upload);
      this.#uploads.set(upload, element);
      this.list.append(element);
      upload.onChange = () => this.#changed(upload, element);
      upload.onChange();
    }
  }

  #elementOf(upload) {
    const element = copyOf("upload-template");
    const { name } = upload.file;
    element.querySelector(".name").textContent = upload.replaces ? `${name} → ${upload.replaces.title}` : name;
    label(element.querySelector("progress"), `Upload of ${name}`);
    for (const [verb, word] of Object.entries(VERBS)) {
      label(action(element, verb), `${word} the upload of ${name}`);
      action(element, verb).addEventListener("click", () => this[verb](upload));
    }
    return element;
  }

  pause(upload) {
    this.#queue.remove(upload);
    upload.pause();
    announce(`The upload of ${upload.file.name} is paused.`);
    action(this.#uploads.get(upload), "resume").focus();
  }

  resume(upload) {
    upload.reset();
    action(this.#uploads.get(upload), "pause").focus();
    this.#queue.add(upload);
  }

  choose() {
    byId("files").click();
  }

  cancel(upload) {
    this.#queue.remove(upload);
    upload.cancel();
    announce(`The upload of ${upload.file.name} was cancelled.`);
    action(this.#uploads.get(upload), "retry").focus();
  }

  retry(upload) {
    upload.reset();
    action(this.#uploads.get(upload), "cancel").focus();
    this.#queue.add(upload);
  }

  dismiss(upload) {
    upload.cancel(); // what has come of it goes as well
    this.#remove(upload);
  }

  #beat() {
    for (const [upload, element] of this.#uploads) if (upload.active) show(upload, element);
    if (this.busy) this.#summarise();
  }

  #changed(upload, element) {
    show(upload, element);
    if (upload.state === "stored") this.#finish(upload, element);
    this.#summarise();
  }

  #finish(upload) {
    this.#stored += 1;
    this.#storedBytes += upload.file.size;
    this.onStored(upload, upload.stored);
    announce(upload.replaces ? `The file of ${upload.replaces.title} was replaced.` : `${upload.file.name} was uploaded.`);
    setTimeout(() => this.#remove(upload), FAREWELL);
  }

  #remove(upload) {
    const element = this.#uploads.get(upload);
    const next = element.nextElementSibling ?? element.previousElementSibling ?? byId("files");
    const focused = element.contains(document.activeElement);
    this.#uploads.delete(upload);
    element.remove();
    this.#summarise();
    if (focused) focusSoftly(next);
  }

  #summarise() {
    const uploads = [...this.#uploads.keys()];
    byId("uploads").hidden = uploads.length === 0;
    const counting = uploads.filter(({ state }) => !["stored", "left"].includes(state));
    if (!uploads.some(({ state }) => state !== "left")) [this.#stored, this.#storedBytes] = [0, 0];
    const total = this.#stored + counting.length;
    byId("uploads-note").textContent = total > 1 ? `${this.#stored} of ${total} done` : "";
    this.#showOverall(uploads.filter(({ active, state }) => active || state === "paused"));
  }

  /** Show how far all of them are, as the server has told it, how fast they go, and how long it takes yet. */
  #showOverall(going) {
    const sent = this.#storedBytes + sum(going, (upload) => (upload.isResumable ? upload.sent : 0));
    const whole = this.#storedBytes + sum(going, ({ file }) => file.size);
    const left = sum(going, ({ active, file, sent: bytes }) => (active ? file.size - bytes : 0));
    const speed = this.busy ? pace.speed : 0;
    byId("overall").hidden = going.length === 0;
    Object.assign(byId("overall").querySelector("progress"), { max: whole || 1, value: sent });
    byId("overall-bytes").textContent = `${size(sent, "floor")} of ${size(whole)}`;
    byId("overall-speed").textContent = speed ? `${size(speed)}/s` : "";
    byId("overall-left").textContent = speed && left ? `${timeLeft(left / speed)} left` : "";
  }
}

const sum = (uploads, bytesOf) => uploads.reduce((bytes, upload) => bytes + bytesOf(upload), 0);

function show(upload, element) {
  const { state, active, isResumable, file: { name, type } } = upload;
  element.dataset.state = state;
  for (const [place, text] of Object.entries({ state: words(upload), ...rate(upload) })) {
    element.querySelector(`.upload-${place}`).textContent = text;
  }
  showProgress(element.querySelector("progress"), upload);
  showError(element.querySelector(".error"), upload.error);
  const isOver = state === "failed" || state === "cancelled";
  const shown = {
    pause: isResumable && active && state !== "saving",
    resume: state === "paused",
    retry: isOver,
    choose: state === "left",
    cancel: state === "paused" || (active && !(isResumable && state === "saving")),
    dismiss: isOver || state === "left",
  };
  for (const [verb, isShown] of Object.entries(shown)) action(element, verb).hidden = !isShown;
  setIcon(element.querySelector(".tile"), { stored: "done", failed: "failed" }[state] ?? kind(type, name).icon);
}

function showProgress(bar, { state, sent, file }) {
  bar.hidden = state === "failed" || state === "cancelled";
  bar.max = file.size || 1;
  // Without a value the bar says "busy": the bytes are sent, the answer is not here yet.
  if (state === "saving") bar.removeAttribute("value");
  else bar.value = sent;
}

function rate({ sent, speed, file }) {
  const left = file.size - sent;
  return { speed: speed ? `${size(speed)}/s` : "", left: speed && left ? `${timeLeft(left / speed)} left` : "" };
}

function words({ state, sent, file }) {
  const whole = size(file.size);
  const part = `${size(sent, "floor")} of ${whole}`;
  return {
    waiting: sent ? `Waiting · ${part}` : `Waiting · ${whole}`,
    sending: part,
    away: `Waiting for the server · ${part}`,
    paused: `Paused · ${part}`,
    saving: `Saving… ${whole}`,
    stored: "Done",
    failed: "Not uploaded",
    cancelled: "Cancelled",
    left: `Unfinished · ${part}`,
  }[state];
}
