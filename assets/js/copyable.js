// A field with a button that copies its value. Browsers offer the clipboard to pages on https and localhost only;
// elsewhere execCommand copies the selected field, which stays selected if that fails too.
import { createElement, useEffect, useRef, useState } from "react";

const SHOWN_MS = 2500;

export function Copyable({ children, ...rest }) {
  const container = useRef(null);
  const [result, setResult] = useState("");

  useEffect(() => {
    if (!result) return undefined;
    const timer = setTimeout(() => setResult(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [result]);

  const onCopy = async () => {
    const field = container.current.querySelector("input");
    setResult((await copy(field)) ? "Copied" : "Selected");
  };

  return createElement(
    "div",
    { ...rest, ref: container, onFocus: ({ target }) => target.select?.() },
    children,
    createElement("button", { type: "button", className: "button main", onClick: onCopy }, result || "Copy"),
    createElement("span", { role: "status", className: "unseen" }, result),
  );
}

async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}
