// One document in the list, and what can be done with it.

import { checkDownload, deleteDocument, renameDocument } from "./api.js";
import { confirmDelete, showPicture } from "./dialogs.js";
import { action, announce, copyOf, label, setIcon, showError } from "./dom.js";
import { date, fullDate, isPicture, kind, size } from "./format.js";

export class DocumentRow {
  constructor(document, { onReplace, onDeleted }) {
    this.element = copyOf("document-template");
    this.onReplace = onReplace;
    this.onDeleted = onDeleted;
    this.show(document);
    this.#listen();
  }

  /** Show the document as the server has it now. */
  show(document) {
    this.document = document;
    const { title, file, created_at: created } = document;
    const { label: type } = kind(file.content_type, file.filename);
    this.#part(".name").textContent = this.#part(".name").title = title || "Untitled";
    this.#part(".type").textContent = type;
    this.#part(".size").textContent = size(file.size);
    this.#part(".filename").textContent = file.filename === title ? "" : file.filename;
    this.#showDate(new Date(created));
    this.#showPicture(file);
    this.#nameControls(title || "Untitled");
    this.fail("");
  }

  fail(words) {
    showError(this.#part(".error"), words);
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }

  #showDate(moment) {
    const time = this.#part("time");
    time.dateTime = moment.toISOString();
    time.textContent = date(moment);
    time.title = fullDate(moment);
  }

  #showPicture(file) {
    const { icon } = kind(file.content_type, file.filename);
    setIcon(this.#part(".tile"), icon);
    this.#part(".picture")?.remove();
    if (isPicture(file)) this.#part(".thumb").prepend(this.#pictureButton(file));
  }

  #pictureButton(file) {
    // The checksum makes the URL of other bytes another one, so that no picture of before is shown.
    const url = `${file.url}?${new URLSearchParams({ v: file.checksum ?? file.last_modified ?? "" })}`;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "picture" });
    const image = Object.assign(document.createElement("img"), { alt: "", loading: "lazy", decoding: "async", src: url });
    image.addEventListener("error", () => button.remove());
    button.addEventListener("click", () => showPicture(this.document.title, url));
    button.append(image);
    return button;
  }

  #nameControls(title) {
    const { file } = this.document;
    const download = action(this.element, "download");
    download.href = file.url;
    download.download = file.filename;
    label(this.element, title);
    label(download, `Download ${title}`);
    label(action(this.element, "rename"), `Rename ${title}`);
    label(action(this.element, "replace"), `Replace the file of ${title}`);
    label(action(this.element, "delete"), `Delete ${title}`);
    label(this.#part(".rename input"), `New title of ${title}`);
    label(this.#part(".replacement"), `New file of ${title}`);
    const picture = this.#part(".picture");
    if (picture) label(picture, `Preview ${title}`);
  }

  #listen() {
    const form = this.#part(".rename");
    const input = this.#part(".replacement");
    action(this.element, "download").addEventListener("click", (event) => this.#download(event));
    action(this.element, "rename").addEventListener("click", () => this.#edit());
    action(this.element, "keep").addEventListener("click", () => this.#endEdit());
    action(this.element, "replace").addEventListener("click", () => input.click());
    action(this.element, "delete").addEventListener("click", () => this.#delete());
    form.addEventListener("submit", (event) => this.#rename(event));
    form.addEventListener("keydown", (event) => event.key === "Escape" && this.#endEdit());
    input.addEventListener("change", () => {
      if (input.files.length) this.onReplace(this.document, input.files[0]);
      input.value = "";
    });
  }

  async #download(event) {
    // A click that the check below makes, or one for another tab or window, is the browser's own.
    if (!event.isTrusted || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const link = event.currentTarget;
    await this.#attempt(async () => {
      await checkDownload(this.document.file.url);
      link.click();
    });
  }

  // -- rename --------------------------------------------------------------------------------------

  #edit() {
    const input = this.#part(".rename input");
    this.#editing(true);
    input.value = this.document.title;
    input.select();
    input.focus();
  }

  #endEdit() {
    this.#editing(false);
    this.fail("");
    action(this.element, "rename").focus();
  }

  #editing(on) {
    this.#part(".rename").hidden = !on;
    this.#part(".name").hidden = on;
    this.element.classList.toggle("editing", on);
  }

  async #rename(event) {
    event.preventDefault();
    const title = this.#part(".rename input").value.trim();
    if (!title) return this.fail("A document needs a title.");
    await this.#attempt(async () => {
      this.show(await renameDocument(this.document.id, title));
      this.#endEdit();
      announce(`Renamed to ${title}.`);
    });
  }

  // -- delete --------------------------------------------------------------------------------------

  async #delete() {
    const { id, title } = this.document;
    if (!(await confirmDelete(title || "Untitled"))) return;
    await this.#attempt(async () => {
      await deleteDocument(id).catch(unlessGone);
      announce(`${title} was deleted.`);
      this.onDeleted(this);
    });
  }

  async #attempt(work) {
    this.fail("");
    this.element.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (problem) {
      this.fail(problem.message);
    } finally {
      this.element.removeAttribute("aria-busy");
    }
  }
}

function unlessGone(problem) {
  if (problem.status !== 404) throw problem; // somebody else was faster: it is deleted all the same
}
