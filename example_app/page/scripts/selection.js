// The documents that are selected, and what is done with all of them at once.

import { archiveOf, checkDownload } from "./api.js";
import { confirmDelete } from "./dialogs.js";
import { action, announce, byId, showError } from "./dom.js";
import { counted } from "./format.js";
import { Queue } from "./queue.js";

const AT_ONCE = 4; // deletions
const MOST_IN_ARCHIVE = 100; // as the route has it

export class Selection {
  #rows = new Set();

  constructor() {
    this.bar = byId("selection");
    this.count = this.bar.querySelector(".selection-count");
    action(this.bar, "zip").addEventListener("click", () => this.#attempt(() => this.#download()));
    action(this.bar, "delete").addEventListener("click", () => this.#delete());
    action(this.bar, "clear").addEventListener("click", () => this.#clear());
  }

  /** Note whether a row is selected. */
  put(row, isSelected) {
    this.#rows[isSelected ? "add" : "delete"](row);
    this.#render();
  }

  clear() {
    for (const row of this.#rows) row.select(false);
    this.#rows.clear();
    this.#render();
  }

  #clear() {
    this.clear();
    byId("documents-heading").focus();
  }

  #render() {
    this.bar.hidden = this.#rows.size === 0;
    this.count.textContent = `${this.#rows.size} selected`;
    this.#fail("");
  }

  #fail(words) {
    showError(this.bar.querySelector(".error"), words);
  }

  async #download() {
    if (this.#rows.size > MOST_IN_ARCHIVE) return this.#fail(`An archive takes ${MOST_IN_ARCHIVE} documents at most.`);
    const url = archiveOf([...this.#rows].map((row) => row.document.id));
    await checkDownload(url);
    Object.assign(document.createElement("a"), { href: url, download: "documents.zip" }).click();
  }

  async #delete() {
    const rows = [...this.#rows];
    if (!(await confirmDelete(rows.map((row) => row.title)))) return;
    const queue = new Queue(AT_ONCE);
    const isDeleted = await Promise.all(
      rows.map((row) => new Promise((resolve) => queue.add({ run: async () => resolve(await row.delete()) }))),
    );
    const number = isDeleted.filter(Boolean).length;
    if (number) announce(number === 1 ? `${rows[0].title} was deleted.` : `${counted(number, "document")} were deleted.`);
    const left = rows.length - number;
    if (left) this.#fail(`${counted(left, "document")} could not be deleted.`);
    else byId("documents-heading").focus();
  }

  async #attempt(work) {
    this.#fail("");
    this.bar.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (problem) {
      this.#fail(problem.message);
    } finally {
      this.bar.removeAttribute("aria-busy");
    }
  }
}
