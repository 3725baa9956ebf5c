// What a person reads of a file: its size, its type, its date.

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** Write a number of bytes; `rounding` is "floor" where it must not say more than there is. */
export function size(bytes, rounding = "halfExpand") {
  if (bytes === null || bytes === undefined) return "";
  if (bytes === 1) return "1 byte";
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  const value = bytes / 1000 ** power;
  const digits = power === 0 || value >= 100 ? 0 : 1;
  return `${value.toLocaleString("en", { maximumFractionDigits: digits, roundingMode: rounding })} ${UNITS[power]}`;
}

/** Write how long something takes yet. */
export function timeLeft(seconds) {
  if (seconds < 60) return counted(Math.max(1, Math.ceil(seconds)), "second");
  if (seconds < 3600) return counted(Math.round(seconds / 60), "minute");
  return counted(Math.round(seconds / 3600), "hour");
}

export const counted = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "short" });

export function date(moment, now = new Date()) {
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (moment.toDateString() === now.toDateString()) return `Today, ${clock.format(moment)}`;
  if (moment.toDateString() === yesterday.toDateString()) return `Yesterday, ${clock.format(moment)}`;
  return day.format(moment);
}

export const fullDate = (moment) => full.format(moment);

const OPEN = "application/vnd.oasis.opendocument";
const OFFICE = "application/vnd.openxmlformats-officedocument";

/** Media type → what it is called, and its icon. */
const KNOWN = new Map([
  ["application/pdf", ["PDF", "text"]],
  ["application/rtf", ["Rich text", "text"]],
  ["application/msword", ["Word document", "text"]],
  [`${OFFICE}.wordprocessingml.document`, ["Word document", "text"]],
  [`${OPEN}.text`, ["Text document", "text"]],
  ["application/vnd.ms-excel", ["Excel sheet", "sheet"]],
  [`${OFFICE}.spreadsheetml.sheet`, ["Excel sheet", "sheet"]],
  [`${OPEN}.spreadsheet`, ["Spreadsheet", "sheet"]],
  ["text/csv", ["CSV table", "sheet"]],
  ["application/vnd.ms-powerpoint", ["PowerPoint slides", "slides"]],
  [`${OFFICE}.presentationml.presentation`, ["PowerPoint slides", "slides"]],
  [`${OPEN}.presentation`, ["Slides", "slides"]],
  ["application/zip", ["ZIP archive", "archive"]],
  ["application/x-zip-compressed", ["ZIP archive", "archive"]],
  ["application/gzip", ["GZIP archive", "archive"]],
  ["application/x-tar", ["TAR archive", "archive"]],
  ["application/x-7z-compressed", ["7z archive", "archive"]],
  ["application/json", ["JSON", "code"]],
  ["application/xml", ["XML", "code"]],
  ["application/javascript", ["JavaScript", "code"]],
  ["text/javascript", ["JavaScript", "code"]],
  ["text/html", ["HTML", "code"]],
  ["text/css", ["CSS", "code"]],
  ["text/xml", ["XML", "code"]],
  ["text/plain", ["Text", "text"]],
  ["text/markdown", ["Markdown", "text"]],
  ["audio/mpeg", ["MP3 audio", "audio"]],
  ["video/quicktime", ["QuickTime video", "video"]],
]);
const FAMILIES = new Set(["image", "audio", "video"]);

/** Say what a file is in words, and which icon stands for it. */
export function kind(contentType, filename) {
  const type = contentType.split(";")[0].trim().toLowerCase();
  if (KNOWN.has(type)) return named(...KNOWN.get(type));
  const [family, subtype = ""] = type.split("/");
  const name = subtype.replace(/^x-|\+.*$/g, "").toUpperCase();
  if (FAMILIES.has(family)) return named(`${name} ${family}`, family);
  if (family === "text") return named(`${name} text`, "text");
  return named(byEnding(filename), "file");
}

const named = (label, icon) => ({ label, icon });

function byEnding(filename) {
  const ending = /[^.]\.([a-z0-9]{1,5})$/i.exec(filename)?.[1];
  return ending ? `${ending.toUpperCase()} file` : "File";
}

const essence = (file) => file.content_type.split(";")[0].trim().toLowerCase();

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
const LARGEST_PICTURE = 25_000_000; // bytes: a thumbnail loads the whole file

export const isPicture = (file) => PICTURES.has(essence(file)) && (file.size ?? 0) <= LARGEST_PICTURE;

const TEXTS = /^(text\/.*|application\/(.*\+)?(json|xml|javascript|yaml|toml|sql))$/;

/** Say how a file opens on the page: "picture", "pdf", "text", or null for what is only downloaded. */
export function opensAs(file) {
  if (isPicture(file)) return "picture";
  if (essence(file) === "application/pdf" && navigator.pdfViewerEnabled) return "pdf";
  return TEXTS.test(essence(file)) ? "text" : null;
}
