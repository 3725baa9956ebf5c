// Dropzone, as its documentation begins: a form with an action.
import Dropzone from "dropzone";

const told = [];
const zone = new Dropzone("form", window.options);

zone.on("success", (file, body) => told.push(body));
zone.on("error", (file, message) => told.push(message));
zone.on("queuecomplete", () => window.ended(told));
