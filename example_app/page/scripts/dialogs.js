// What is asked or shown above the page.

import { readText } from "./api.js";
import { byId } from "./dom.js";
import { opensAs, size } from "./format.js";

const MOST_TEXT = 256 * 1024; // bytes that are shown of a text

/** Ask whether documents are to be deleted; false if the person keeps them. */
export function confirmDelete(titles) {
  const dialog = byId("confirm");
  const isOne = titles.length === 1;
  byId("confirm-heading").textContent = isOne ? "Delete this document?" : `Delete ${titles.length} documents?`;
  byId("confirm-name").textContent = isOne ? titles[0] : "";
  byId("confirm-end").textContent = isOne ? "and its file will be gone for good." : "They and their files will be gone for good.";
  byId("confirm-keep").textContent = isOne ? "Keep it" : "Keep them";
  dialog.returnValue = "keep"; // what Escape leaves
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

/** Show a document's file above the page; fail with a problem if it can't be read. */
export async function showFile(title, file, url) {
  const dialog = byId("preview");
  const way = opensAs(file);
  const content = await VIEWS[way](title, file, url);
  byId("preview-name").textContent = title;
  byId("preview-content").replaceChildren(...content);
  dialog.dataset.way = way;
  dialog.addEventListener("close", () => byId("preview-content").replaceChildren(), { once: true });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.showModal();
}

const VIEWS = {
  picture: (title, file, url) => [Object.assign(document.createElement("img"), { src: url, alt: title })],
  pdf: (title, file, url) => [Object.assign(document.createElement("iframe"), { src: url, title })],
  text: async (title, file) => {
    const text = document.createElement("pre");
    text.textContent = await readText(file, MOST_TEXT);
    text.dir = "auto";
    text.tabIndex = 0; // so that it is scrolled by keyboard
    if (file.size <= MOST_TEXT) return [text];
    const rest = Object.assign(document.createElement("p"), { className: "section-note" });
    rest.textContent = `The first ${size(MOST_TEXT)} of ${size(file.size)}. Download the file for the rest.`;
    return [text, rest];
  },
};
