// The server of tus that its authors publish, with a store of files: node tus.mjs FOLDER HOST PORT LARGEST
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [directory, host, port, largest] = process.argv.slice(2);
const datastore = new FileStore({ directory, expirationPeriodInMilliseconds: 3600 * 1000 });
new Server({ path: "/files", datastore, maxSize: Number(largest), lockDrainTimeout: 100 }).listen(Number(port), host);

// A request that is refused before its body was read may end in "ReadableStream is already closed", which nobody catches.
process.on("uncaughtException", (error) => console.error(error));
