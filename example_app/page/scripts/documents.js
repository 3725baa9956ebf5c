// The list of documents, newest first, a page at a time.

import { listDocuments } from "./api.js";
import { byId, focusSoftly, showError } from "./dom.js";
import { DocumentRow } from "./row.js";

export class DocumentList {
  #rows = new Map(); // document's id → row
  #cursor = null;
  #busy = false;
  #error = "";

  constructor({ onReplace }) {
    this.onReplace = onReplace;
    this.list = byId("document-list");
    byId("more").addEventListener("click", () => this.#more());
    byId("list-error").querySelector("button").addEventListener("click", () => this.#more());
  }

  /** Read the page at the cursor, the first one at first; return the rows that are new here. */
  async load() {
    this.#become({ busy: true });
    try {
      const page = await listDocuments(this.#cursor);
      this.#cursor = page.next_cursor;
      const rows = page.items.filter(({ id }) => !this.#rows.has(id)).map((each) => this.#rowOf(each));
      this.list.append(...rows.map((row) => row.element));
      this.#become({ busy: false });
      return rows;
    } catch (problem) {
      this.#become({ busy: false, error: problem.message });
      return [];
    }
  }

  prepend(document) {
    if (this.#rows.has(document.id)) return this.update(document);
    this.list.prepend(this.#rowOf(document).element);
    this.#render();
  }

  update(document) {
    this.#rows.get(document.id)?.show(document);
  }

  #rowOf(document) {
    const row = new DocumentRow(document, { onReplace: this.onReplace, onDeleted: (gone) => this.#remove(gone) });
    this.#rows.set(document.id, row);
    return row;
  }

  #remove(row) {
    const { element } = row;
    const next = element.nextElementSibling ?? element.previousElementSibling;
    this.#rows.delete(row.document.id);
    element.remove();
    this.#render();
    focusSoftly(next ?? byId("files"));
    if (!next && this.#cursor) this.load();
  }

  async #more() {
    const [first] = await this.load();
    if (first) focusSoftly(first.element);
  }

  #become({ busy, error = "" }) {
    this.#busy = busy;
    this.#error = error;
    this.#render();
  }

  #render() {
    const bare = this.#rows.size === 0;
    this.list.setAttribute("aria-busy", String(this.#busy));
    byId("loading").hidden = !(this.#busy && bare);
    byId("empty").hidden = !bare || this.#busy || this.#error !== "";
    byId("more").hidden = !this.#cursor || this.#error !== "";
    byId("more").disabled = this.#busy;
    byId("list-error").hidden = this.#error === "";
    showError(byId("list-error").querySelector(".error"), this.#error);
  }
}
