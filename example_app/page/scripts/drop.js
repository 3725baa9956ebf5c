// Files chosen with the input, or dropped anywhere on the page.

import { byId, showError } from "./dom.js";

/** Call `onFiles` with the files that a person gives, whichever way. */
export function acceptFiles(form, onFiles) {
  const take = ({ files, folders }) => {
    showError(byId("drop-error"), folders.length ? refusal(folders) : "");
    if (files.length) onFiles(files);
  };
  const input = form.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    take({ files: [...input.files], folders: [] });
    input.value = ""; // so that the same file can be chosen again
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  acceptDrops(take);
}

function acceptDrops(take) {
  let depth = 0; // dragenter and dragleave come for every element on the way
  const drag = (change) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    depth = change(depth);
    document.body.classList.toggle("dragging", depth > 0);
  };
  window.addEventListener("dragenter", drag((now) => now + 1));
  window.addEventListener("dragleave", drag((now) => Math.max(0, now - 1)));
  window.addEventListener("dragover", drag((now) => now));
  window.addEventListener("drop", (event) => {
    drag(() => 0)(event);
    if (event.dataTransfer?.types.includes("Files") && !document.querySelector("dialog[open]")) take(sorted(event));
  });
}

function sorted({ dataTransfer }) {
  const files = [];
  const folders = [];
  for (const item of dataTransfer.items) {
    const file = item.kind === "file" ? item.getAsFile() : null;
    // A folder comes as a file that can't be read.
    if (file) (item.webkitGetAsEntry()?.isDirectory ? folders : files).push(file);
  }
  return { files, folders };
}

const refusal = (folders) =>
  folders.length === 1
    ? `“${folders[0].name}” is a folder: open it and drop the files in it.`
    : "Folders can't be uploaded: open them and drop the files in them.";
