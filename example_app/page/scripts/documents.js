// The list of documents, newest first, a page at a time.

import { listDocuments } from "./api.js";
import { announce, byId, focusSoftly, showError } from "./dom.js";
import { counted } from "./format.js";
import { DocumentRow } from "./row.js";
import { Selection } from "./selection.js";

const PAUSE = 250; // milliseconds without a key until titles are searched

export class DocumentList {
  #rows = new Map(); // document's id → row
  #cursor = null;
  #busy = false;
  #error = "";
  #search = "";
  #selection = new Selection();

  constructor({ onReplace }) {
    this.onReplace = onReplace;
    this.list = byId("document-list");
    byId("more").addEventListener("click", () => this.#more());
    byId("search").addEventListener("input", () => this.#searchSoon());
    byId("list-error").querySelector("button").addEventListener("click", () => this.#more());
  }

  /** Read the page at the cursor, the first one at first; return the rows that are new here. */
  async load() {
    this.#become({ busy: true });
    const search = this.#search;
    try {
      const page = await listDocuments({ search, after: this.#cursor });
      if (search !== this.#search) return []; // something else is looked for by now
      this.#cursor = page.next_cursor;
      const rows = page.items.filter(({ id }) => !this.#rows.has(id)).map((each) => this.#rowOf(each));
      this.list.append(...rows.map((row) => row.element));
      this.#become({ busy: false });
      return rows;
    } catch (problem) {
      if (search === this.#search) this.#become({ busy: false, error: problem.message });
      return [];
    }
  }

  prepend(document) {
    if (this.#rows.has(document.id)) return this.update(document);
    if (!document.title.toLowerCase().includes(this.#search.toLowerCase())) return;
    this.list.prepend(this.#rowOf(document).element);
    this.#render();
  }

  update(document) {
    this.#rows.get(document.id)?.show(document);
  }

  #rowOf(document) {
    const row = new DocumentRow(document, {
      onReplace: this.onReplace,
      onDeleted: (gone) => this.#remove(gone),
      onSelect: (selected, isSelected) => this.#selection.put(selected, isSelected),
    });
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

  #searchSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#find(byId("search").value.trim()), PAUSE);
  }

  async #find(search) {
    if (search === this.#search) return;
    this.#search = search;
    this.#cursor = null;
    this.#selection.clear();
    this.#rows.clear();
    this.list.replaceChildren();
    await this.load();
    if (search && search === this.#search) announce(`${counted(this.#rows.size, "document")}${this.#cursor ? " or more" : ""} found.`);
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
    const isEmpty = bare && !this.#busy && this.#error === "";
    byId("empty").hidden = !isEmpty || this.#search !== "";
    byId("nothing").hidden = !isEmpty || this.#search === "";
    byId("nothing").textContent = `No title has “${this.#search}” in it.`;
    byId("more").hidden = !this.#cursor || this.#error !== "";
    byId("more").disabled = this.#busy;
    byId("list-error").hidden = this.#error === "";
    showError(byId("list-error").querySelector(".error"), this.#error);
  }
}
