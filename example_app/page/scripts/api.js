// The prebuilt router's API, and its problem details (RFC 9457) in words.

export const DOCUMENTS = new URL("documents/", document.baseURI).pathname;
const ARCHIVE = new URL("documents.zip", document.baseURI).pathname;
const PAGE_SIZE = 20;

/** What went wrong, in words for the person in front of the page. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export const unreachable = () =>
  new Problem(
    navigator.onLine
      ? "The server can't be reached. It may be down, or the connection was lost."
      : "You are offline. Try again when the network is back.",
  );

/** Return the problem that an answer describes; `body` is what it holds as JSON, or null. */
export function problemOf(status, body) {
  const fields = (body?.errors ?? []).map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`);
  // The detail of a form's problem holds its fields already; that of a JSON body's does not.
  const news = fields.filter((text) => !body.detail?.includes(text));
  const words = [body?.detail, ...news].filter((text) => typeof text === "string" && text);
  return new Problem(words.join(" ") || `The server answered with an error (${status}).`, status);
}

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw unreachable();
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) throw problemOf(response.status, body);
  return body;
}

export function listDocuments({ search, after }) {
  const query = new URLSearchParams({ limit: PAGE_SIZE, ...(search && { search }), ...(after && { after }) });
  return request(`${DOCUMENTS}?${query}`);
}

export const renameDocument = (id, title) =>
  request(DOCUMENTS + id, {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ title }),
  });

export const deleteDocument = (id) => request(DOCUMENTS + id, { method: "DELETE" });

/** Return the URL of an archive of some documents. */
export const archiveOf = (ids) => `${ARCHIVE}?${new URLSearchParams(ids.map((id) => ["id", id]))}`;

/** Read the first bytes of a file as text. */
export async function readText({ url, size, content_type: type }, most) {
  const headers = size > most ? { Range: `bytes=0-${most - 1}` } : {};
  const response = await fetch(url, { headers }).catch(() => null);
  if (!response) throw unreachable();
  if (!response.ok) throw problemOf(response.status, await response.json().catch(() => null));
  return decoderOf(/charset="?([\w-]+)/i.exec(type)?.[1]).decode(await response.arrayBuffer());
}

function decoderOf(charset = "utf-8") {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder(); // nobody knows that name
  }
}

/** Fail with a problem if a file can't be downloaded: a browser's own message would not say why. */
export async function checkDownload(url) {
  try {
    await request(url, { method: "HEAD" });
  } catch (problem) {
    if (problem.status) await request(url); // only GET has words for it
    throw problem;
  }
}
