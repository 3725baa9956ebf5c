// tus-js-client in Node: node send.mjs FILE ENDPOINT CHUNK; it prints the URL of the upload.
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { Upload } from "tus-js-client";

const [file, endpoint, chunkSize] = process.argv.slice(2);
const upload = new Upload(createReadStream(file), {
  endpoint,
  chunkSize: Number(chunkSize),
  retryDelays: [500, 1000, 2000, 4000, 8000, 8000],
  metadata: { filename: basename(file) },
  onSuccess: () => console.log(upload.url),
  onError: (error) => {
    throw error;
  },
});
upload.start();
