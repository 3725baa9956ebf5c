// The uploads on the page: a progress bar, words and buttons for each.

import { action, announce, byId, copyOf, focusSoftly, label, setIcon, showError } from "./dom.js";
import { kind, size } from "./format.js";
import { Queue } from "./queue.js";

const AT_ONCE = 3;
const FAREWELL = 2500; // milliseconds that a finished upload stays to be seen

export class UploadList {
  #queue = new Queue(AT_ONCE);
  #uploads = new Map(); // upload → its element
  #stored = 0;

  constructor({ onStored }) {
    this.onStored = onStored;
    this.list = byId("upload-list");
  }

  get busy() {
    return [...this.#uploads.keys()].some((upload) => upload.active);
  }

  add(uploads) {
    for (const upload of uploads) {
      const element = this.#elementOf(upload);
      this.#uploads.set(upload, element);
      this.list.append(element);
      upload.onChange = () => this.#changed(upload, element);
      upload.onChange();
    }
    for (const upload of uploads) this.#queue.add(upload);
  }

  #elementOf(upload) {
    const element = copyOf("upload-template");
    const { name, type } = upload.file;
    setIcon(element.querySelector(".tile"), kind(type, name).icon);
    element.querySelector(".name").textContent = upload.replaces ? `${name} → ${upload.replaces.title}` : name;
    label(element.querySelector("progress"), `Upload of ${name}`);
    for (const [verb, word] of [["retry", "Retry"], ["cancel", "Cancel"], ["dismiss", "Dismiss"]]) {
      label(action(element, verb), `${word} the upload of ${name}`);
      action(element, verb).addEventListener("click", () => this[verb](upload));
    }
    return element;
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
    this.#remove(upload);
  }

  #changed(upload, element) {
    show(upload, element);
    if (upload.state === "stored") this.#finish(upload, element);
    this.#summarise();
  }

  #finish(upload) {
    this.#stored += 1;
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
    byId("uploads").hidden = this.#uploads.size === 0;
    if (this.#uploads.size === 0) this.#stored = 0;
    const left = [...this.#uploads.keys()].filter((upload) => upload.state !== "stored").length;
    const total = this.#stored + left;
    byId("uploads-note").textContent = total > 1 ? `${this.#stored} of ${total} done` : "";
  }
}

function show(upload, element) {
  const { state } = upload;
  element.dataset.state = state;
  element.querySelector(".upload-state").textContent = words(upload);
  showProgress(element.querySelector("progress"), upload);
  showError(element.querySelector(".error"), upload.error);
  const over = state === "failed" || state === "cancelled";
  action(element, "cancel").hidden = !upload.active;
  action(element, "retry").hidden = !over;
  action(element, "dismiss").hidden = !over;
  if (state === "stored") setIcon(element.querySelector(".tile"), "done");
  if (state === "failed") setIcon(element.querySelector(".tile"), "failed");
}

function showProgress(bar, { state, sent }) {
  bar.hidden = state === "failed" || state === "cancelled";
  // Without a value the bar says "busy": the bytes are sent, the answer is not here yet.
  if (state === "saving") bar.removeAttribute("value");
  else bar.value = Math.round(sent * 100);
}

function words({ state, sent, file }) {
  const whole = size(file.size);
  return {
    waiting: `Waiting · ${whole}`,
    sending: `${Math.round(sent * 100)}% of ${whole}`,
    saving: `Saving… ${whole}`,
    stored: "Done",
    failed: "Not uploaded",
    cancelled: "Cancelled",
  }[state];
}
