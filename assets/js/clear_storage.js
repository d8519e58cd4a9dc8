// Removes what the user typed from localStorage when the form inside it is submitted.
import { createElement } from "react";

export function ClearStorage({ prefix, children, ...rest }) {
  return createElement("div", { ...rest, onSubmit: () => clearStorage(prefix) }, children);
}

export function clearStorage(prefix) {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(prefix)) localStorage.removeItem(key);
  }
}
