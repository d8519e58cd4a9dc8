// A button with data-waits shows that it was heard until what it asks the server for is there: then it loses the focus
// or goes away.
const BUSY_MS = 5000;

function showBusy({ target }) {
  const button = target.closest?.("button[data-waits]");
  if (!button) return;
  const end = () => button.removeAttribute("aria-busy");
  button.setAttribute("aria-busy", "true");
  button.addEventListener("blur", end, { once: true });
  setTimeout(end, BUSY_MS);
}

if (typeof document !== "undefined") document.addEventListener("click", showBusy);
