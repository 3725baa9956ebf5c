// The page of the example application: every part is a module below scripts/; here they are put together.

import { DocumentList } from "./scripts/documents.js";
import { announce, byId } from "./scripts/dom.js";
import { acceptFiles } from "./scripts/drop.js";
import { leftovers } from "./scripts/leftover.js";
import { Upload } from "./scripts/upload.js";
import { UploadList } from "./scripts/uploads.js";

const documents = new DocumentList({ onReplace: (row, file) => uploads.add([new Upload(file, row)]) });
const uploads = new UploadList({
  onStored: (upload, stored) => (upload.replaces ? documents.update(stored) : documents.prepend(stored)),
});

acceptFiles(byId("drop"), (files) => {
  uploads.add(files.map((file) => new Upload(file)));
  announce(files.length === 1 ? `Uploading ${files[0].name}.` : `Uploading ${files.length} files.`);
});

window.addEventListener("beforeunload", (event) => {
  if (uploads.busy) event.preventDefault();
});

uploads.show(leftovers());
documents.load();
