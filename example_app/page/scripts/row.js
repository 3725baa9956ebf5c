// One document in the list, and what can be done with it.

import { checkDownload, deleteDocument, renameDocument } from "./api.js";
import { confirmDelete, showFile } from "./dialogs.js";
import { action, announce, copyOf, label, setIcon, showError } from "./dom.js";
import { date, fullDate, isPicture, kind, opensAs, size } from "./format.js";
import { makeMenu } from "./menu.js";

export class DocumentRow {
  constructor(document, { onReplace, onDeleted, onSelect }) {
    this.element = copyOf("document-template");
    Object.assign(this, { onReplace, onDeleted, onSelect });
    this.show(document);
    this.#listen();
  }

  /** Show the document as the server has it now. */
  show(document) {
    this.document = document;
    const { file, created_at: created } = document;
    const { label: type } = kind(file.content_type, file.filename);
    this.#part(".name").textContent = this.#part(".name").title = this.title;
    this.#part(".type").textContent = type;
    this.#part(".size").textContent = size(file.size);
    this.#part(".filename").textContent = file.filename === document.title ? "" : file.filename;
    this.#showDate(new Date(created));
    this.#showThumb(file);
    this.#nameControls(this.title);
    this.fail("");
  }

  get title() {
    return this.document.title || "Untitled";
  }

  select(isSelected) {
    this.#part(".select input").checked = isSelected;
    this.element.classList.toggle("selected", isSelected);
    this.onSelect(this, isSelected);
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

  #showThumb(file) {
    setIcon(this.#part(".tile"), kind(file.content_type, file.filename).icon);
    this.#letOpen(opensAs(file) !== null);
    if (isPicture(file)) this.#part(".opener").append(this.#picture());
  }

  #letOpen(can) {
    this.element.classList.toggle("opens", can);
    this.#part(".opener")?.remove();
    if (!can) return;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "opener" });
    button.addEventListener("click", () => this.#preview());
    label(button, `Preview ${this.title}`);
    this.#part(".thumb").append(button);
  }

  #picture() {
    const image = Object.assign(document.createElement("img"), { alt: "", loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => this.#letOpen(false));
    return Object.assign(image, { src: this.#url });
  }

  /** The URL of the present bytes: others have another one, so that no picture of before is shown. */
  get #url() {
    const { file } = this.document;
    return `${file.url}?${new URLSearchParams({ v: file.checksum ?? file.last_modified ?? "" })}`;
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
    label(this.#part(".select input"), `Select ${title}`);
    label(action(this.element, "menu"), `Actions of ${title}`);
  }

  #listen() {
    const form = this.#part(".rename");
    const input = this.#part(".replacement");
    makeMenu(this.element, action(this.element, "menu"), this.#part(".actions"));
    this.#part(".select input").addEventListener("change", ({ target }) => this.select(target.checked));
    this.#part(".name").addEventListener("click", () => this.#part(".opener")?.click());
    action(this.element, "download").addEventListener("click", (event) => this.#download(event));
    action(this.element, "rename").addEventListener("click", () => this.#edit());
    action(this.element, "keep").addEventListener("click", () => this.#endEdit());
    action(this.element, "replace").addEventListener("click", () => input.click());
    action(this.element, "delete").addEventListener("click", () => this.#askToDelete());
    form.addEventListener("submit", (event) => this.#rename(event));
    form.addEventListener("keydown", (event) => event.key === "Escape" && this.#endEdit());
    input.addEventListener("change", () => {
      if (input.files.length) this.onReplace(this.document, input.files[0]);
      input.value = "";
    });
  }

  #preview() {
    return this.#attempt(() => showFile(this.title, this.document.file, this.#url));
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
    const rename = action(this.element, "rename");
    (rename.checkVisibility() ? rename : action(this.element, "menu")).focus();
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

  async #askToDelete() {
    const { title } = this;
    if ((await confirmDelete([title])) && (await this.delete())) announce(`${title} was deleted.`);
  }

  /** Delete the document; false, with the reason in its row, if that fails. */
  delete() {
    return this.#attempt(async () => {
      await deleteDocument(this.document.id).catch(unlessGone);
      this.select(false);
      this.onDeleted(this);
    });
  }

  async #attempt(work) {
    this.fail("");
    this.element.setAttribute("aria-busy", "true");
    try {
      await work();
      return true;
    } catch (problem) {
      this.fail(problem.message);
      return false;
    } finally {
      this.element.removeAttribute("aria-busy");
    }
  }
}

function unlessGone(problem) {
  if (problem.status !== 404) throw problem; // somebody else was faster: it is deleted all the same
}
