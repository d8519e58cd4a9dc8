// The field inside it with a button that copies what it holds. Browsers give the clipboard to pages on https and
// localhost only; elsewhere the field is selected and copied the old way, and stays selected if that fails too.
import { createElement, useEffect, useRef, useState } from "react";

const SHOWN_MS = 2500;

export function Copyable({ children, ...rest }) {
  const frame = useRef(null);
  const [said, say] = useState("");

  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => say(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);

  const copy = async () => {
    const field = frame.current.querySelector("input");
    say((await copied(field)) ? "Copied" : "Selected");
  };

  return createElement(
    "div",
    { ...rest, ref: frame, onFocus: ({ target }) => target.select?.() },
    children,
    createElement("button", { type: "button", className: "button main", onClick: copy }, said || "Copy"),
    createElement("span", { role: "status", className: "unseen" }, said),
  );
}

async function copied(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}
