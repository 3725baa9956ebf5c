// FilePond, as its documentation begins: an input that becomes a pond, and the address of a server.
import { create } from "filepond";

const told = [];
const pond = create(document.querySelector("input"), { server: window.endpoint, ...window.options });

pond.on("processfile", (error, file) => told.push(error?.body ?? JSON.parse(file.serverId)));
pond.on("processfiles", () => window.ended(told));
pond.on("error", (error) => window.ended([error.body]));
