// The server of tus that its authors publish, with a store of files: node tus.mjs FOLDER HOST PORT LARGEST
import { createServer } from "node:http";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [directory, host, port, largest] = process.argv.slice(2);
const datastore = new FileStore({ directory, expirationPeriodInMilliseconds: 3600 * 1000 });
const tus = new Server({ path: "/files", datastore, maxSize: Number(largest), lockDrainTimeout: 100 });
createServer((request, response) => {
  if (request.url === "/ping") response.end(String(process.pid)); // for the benchmarks
  else tus.handle(request, response);
}).listen(Number(port), host);

// A request that is refused before its body was read may end in "ReadableStream is already closed", which nobody catches.
process.on("uncaughtException", (error) => console.error(error));
