// Hands on what is typed into the form inside it, shortly after the last key and at the latest when it is left.
// Until the server says that it has it for good, the browser keeps it too: a session may end, or the line be down.
import { createElement, useEffect, useRef } from "react";

const PAUSE_MS = 300;

export function Autosave({ place, onSave, onRestore, children, ...rest }) {
  const handlers = useRef({});
  const waiting = useRef(null);
  const isTyped = useRef(false);
  handlers.current = { onSave, onRestore };

  const flush = () => {
    if (waiting.current === null) return;
    clearTimeout(waiting.current.timer);
    const { values } = waiting.current;
    waiting.current = null;
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
    const values = kept(place);
    if (values && !isTyped.current) handlers.current.onRestore?.(values);
  }, [place]);

  const onInput = (event) => {
    clearTimeout(waiting.current?.timer);
    const values = Object.fromEntries(new FormData(event.target.form));
    isTyped.current = true;
    keep(place, values);
    waiting.current = { values, timer: setTimeout(flush, PAUSE_MS) };
  };
  return createElement("div", { ...rest, onInput, onBlur: flush }, children);
}

function keep(place, values) {
  try {
    if (place) localStorage.setItem(place, JSON.stringify(values));
  } catch {
    // Storage that is full or forbidden: the server gets it in a moment.
  }
}

function kept(place) {
  try {
    return place ? JSON.parse(localStorage.getItem(place)) : null;
  } catch {
    return null;
  }
}
