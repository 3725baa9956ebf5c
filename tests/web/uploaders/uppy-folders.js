// Uppy with files of a folder: its own sources of files set `relativePath` so.
import Uppy from "@uppy/core";
import XHRUpload from "@uppy/xhr-upload";

const uppy = new Uppy().use(XHRUpload, { endpoint: window.endpoint });

document.querySelector("input").addEventListener("change", async ({ target }) => {
  uppy.addFiles(
    [...target.files].map((file) => ({
      name: file.name, type: file.type, data: file, meta: { relativePath: file.webkitRelativePath || null },
    })),
  );
  const { successful, failed } = await uppy.upload();
  window.ended([...successful.map(({ response }) => response.body), ...failed.map(({ error }) => error)]);
});
