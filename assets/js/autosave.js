// Sends what is typed into the form inside it, shortly after the last key and at the latest on blur. localStorage keeps
// a copy until the server confirms that it is saved: the session may end or the connection may be lost.
import { createElement, useEffect, useRef } from "react";

const PAUSE_MS = 300;

export function Autosave({ storageKey, onSave, onRestore, children, ...rest }) {
  const handlers = useRef({});
  const pending = useRef(null);
  const hasTyped = useRef(false);
  handlers.current = { onSave, onRestore };

  const flush = () => {
    if (pending.current === null) return;
    clearTimeout(pending.current.timer);
    const { values } = pending.current;
    pending.current = null;
    handlers.current.onSave?.(values);
  };

  useEffect(() => {
    document.addEventListener("visibilitychange", flush);
    return () => {
      document.removeEventListener("visibilitychange", flush);
      flush();
    };
  }, []);

  useEffect(() => {
    const values = load(storageKey);
    if (values && !hasTyped.current) handlers.current.onRestore?.(values);
  }, [storageKey]);

  const onInput = (event) => {
    clearTimeout(pending.current?.timer);
    const values = Object.fromEntries(new FormData(event.target.form));
    hasTyped.current = true;
    store(storageKey, values);
    pending.current = { values, timer: setTimeout(flush, PAUSE_MS) };
  };
  return createElement("div", { ...rest, onInput, onBlur: flush }, children);
}

function store(storageKey, values) {
  try {
    if (storageKey) localStorage.setItem(storageKey, JSON.stringify(values));
  } catch {
    // Storage is full or forbidden; the server gets the values in a moment.
  }
}

function load(storageKey) {
  try {
    return storageKey ? JSON.parse(localStorage.getItem(storageKey)) : null;
  } catch {
    return null;
  }
}
