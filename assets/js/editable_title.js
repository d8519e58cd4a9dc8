// A title that is edited in place: Enter saves, Escape cancels, and the focus returns to the button. The field stays
// until the server has answered: `answers` counts its answers, `error` belongs to the last one.
import { createElement, useEffect, useRef, useState } from "react";

export function EditableTitle({ name, text, action, error, answers, onSave, children, ...rest }) {
  const [isEditing, setEditing] = useState(false);
  const [isWaiting, setWaiting] = useState(false);
  const [hidesError, setHidesError] = useState(false);
  const field = useRef(null);
  const button = useRef(null);
  const answered = useRef(answers);
  const isClosed = useRef(true); // removing the field blurs it, which must not save

  const close = () => {
    isClosed.current = true;
    setEditing(false);
    setWaiting(false);
  };
  useEffect(() => {
    if (!isEditing) return undefined;
    field.current.select();
    return () => setTimeout(() => document.activeElement === document.body && button.current?.focus());
  }, [isEditing]);
  useEffect(() => {
    if (answered.current === answers) return;
    answered.current = answers;
    setHidesError(false);
    if (!isWaiting) return;
    setWaiting(false);
    if (error) field.current?.focus();
    else close();
  }, [answers]);

  const begin = () => {
    isClosed.current = false;
    setHidesError(true);
    setEditing(true);
  };
  const save = (event) => {
    event?.preventDefault();
    if (isWaiting || isClosed.current) return;
    const typed = field.current.value.trim();
    if (typed === text) {
      close();
      return;
    }
    setWaiting(true);
    onSave?.(typed);
  };
  const onKeyDown = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    event.preventDefault();
    close();
  };

  const errorText = createElement(
    "span",
    { key: "error", id: `${name}-error`, className: "error", role: "alert" },
    hidesError ? "" : error,
  );
  if (!isEditing) {
    const row = createElement(
      "div",
      { key: "row", className: "in-place" },
      createElement("h2", { id: name, dir: "auto" }, text),
      createElement(
        "button",
        {
          ref: button,
          type: "button",
          className: "button plain square",
          "aria-label": action,
          title: action,
          onClick: begin,
        },
        children,
      ),
    );
    return createElement("div", rest, row, errorText);
  }
  const form = createElement(
    "form",
    { key: "form", onSubmit: save, onKeyDown },
    createElement("input", {
      ref: field,
      id: name,
      className: "input",
      dir: "auto",
      autoFocus: true,
      defaultValue: text,
      readOnly: isWaiting,
      maxLength: 200,
      "aria-label": action,
      "aria-busy": isWaiting || undefined,
      "aria-invalid": (!hidesError && Boolean(error)) || undefined,
      "aria-describedby": `${name}-error`,
      onBlur: () => save(),
    }),
  );
  return createElement("div", rest, form, errorText);
}
