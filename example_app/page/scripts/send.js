// A form sent with news of its progress, which fetch does not give for uploads.

import { Problem, problemOf, unreachable } from "./api.js";

/**
 * Send a form and return the answer's JSON.
 * `onProgress` gets the sent part, 0 to 1; aborting the signal ends it with an AbortError.
 */
export function send(method, url, form, { onProgress, signal }) {
  const request = new XMLHttpRequest();
  const answered = answerOf(request);
  request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 1));
  signal.addEventListener("abort", () => request.abort(), { once: true });
  request.open(method, url);
  request.responseType = "json";
  request.send(form);
  return answered;
}

function answerOf(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response);
      else reject(problemOf(request.status, request.response));
    });
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(new DOMException("Cancelled", "AbortError")));
  });
}

/** Return what went wrong in words: a browser reports a file that the disk no longer gives like a lost connection. */
export async function explain(problem, file) {
  if (problem.status) return "problem" in problem ? problemOf(problem.status, problem.problem) : problem;
  try {
    await file.slice(0, 1).arrayBuffer();
    return problem;
  } catch {
    return new Problem("This file can't be read from your disk any more. Choose it again.");
  }
}
