// Small words for the document tree. Text from outside is set as text only, never as HTML.

export const byId = (id) => document.getElementById(id);

/** Return a new copy of a template's one element. */
export const copyOf = (templateId) => byId(templateId).content.firstElementChild.cloneNode(true);

/** Return the control of an element that has the given data-action. */
export const action = (element, name) => element.querySelector(`[data-action="${name}"]`);

export function setIcon(tile, name) {
  tile.dataset.kind = name;
  tile.querySelector("use").setAttribute("href", `#icon-${name}`);
}

/** Name a control that shows an icon only, or whose words don't say what they are about. */
export const label = (element, text) => element.setAttribute("aria-label", text);

/** Show an error's words in its place, or hide the place for "". */
export function showError(place, text) {
  place.textContent = text;
  place.hidden = !text;
}

/** Tell those who can't see the page what has happened. */
export function announce(text) {
  const status = byId("status");
  // The same words twice are two pieces of news, but a live region speaks only when it changes.
  status.textContent = status.textContent === text ? `${text}\u00a0` : text;
}

export function focusSoftly(element) {
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}
