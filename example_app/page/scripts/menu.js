// On a narrow screen the actions of a row are a menu that a button opens; on a wide one they are always there.

/** Let a button open and close the actions of a row. */
export function makeMenu(row, button, actions) {
  const turn = (open) => {
    row.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
    if (open) actions.scrollIntoView({ block: "nearest" });
  };
  const isOpen = () => row.classList.contains("open");
  button.addEventListener("click", () => turn(!isOpen()));
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !isOpen()) return;
    turn(false);
    button.focus();
  });
  // Before the action itself, so that a dialog gives the focus back to what is still to be seen.
  actions.addEventListener(
    "click",
    () => {
      if (!isOpen()) return;
      turn(false);
      button.focus();
    },
    { capture: true },
  );
  document.addEventListener("pointerdown", ({ target }) => {
    if (isOpen() && !actions.contains(target) && !button.contains(target)) turn(false);
  });
  row.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !actions.contains(relatedTarget) && relatedTarget !== button) turn(false);
  });
}
