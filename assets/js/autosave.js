// Hands on what is typed into the form inside it, shortly after the last key and at the latest when it goes away.
import { createElement, useEffect, useRef } from "react";

const PAUSE_MS = 300;

export function Autosave({ onSave, children, ...rest }) {
  const save = useRef(onSave);
  const waiting = useRef(null);
  save.current = onSave;

  const flush = () => {
    if (waiting.current === null) return;
    clearTimeout(waiting.current.timer);
    const { values } = waiting.current;
    waiting.current = null;
    save.current?.(values);
  };

  useEffect(() => {
    document.addEventListener("visibilitychange", flush);
    return () => {
      document.removeEventListener("visibilitychange", flush);
      flush();
    };
  }, []);

  const onInput = (event) => {
    clearTimeout(waiting.current?.timer);
    const values = Object.fromEntries(new FormData(event.target.form));
    waiting.current = { values, timer: setTimeout(flush, PAUSE_MS) };
  };
  return createElement("div", { ...rest, onInput }, children);
}
