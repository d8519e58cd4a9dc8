// A clicked button with data-waits is marked as busy until the server has answered: then it loses the focus or is
// removed.
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
