// What is asked or shown above the page.

import { byId } from "./dom.js";

/** Ask whether a document is to be deleted; false if the person keeps it. */
export function confirmDelete(title) {
  const dialog = byId("confirm");
  byId("confirm-name").textContent = title;
  dialog.returnValue = "keep"; // what Escape leaves
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

export function showPicture(title, url) {
  const dialog = byId("preview");
  const picture = dialog.querySelector("img");
  byId("preview-name").textContent = title;
  picture.src = url;
  picture.alt = title;
  dialog.addEventListener("close", () => picture.removeAttribute("src"), { once: true });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.showModal();
}
