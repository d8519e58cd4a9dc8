// Forgets, as the form inside it is sent, what this browser keeps of what its person typed.
import { createElement } from "react";

export function Forget({ prefix, children, ...rest }) {
  return createElement("div", { ...rest, onSubmit: () => forget(prefix) }, children);
}

export function forget(prefix) {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(prefix)) localStorage.removeItem(key);
  }
}
