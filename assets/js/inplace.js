// A title that is changed where it stands: Enter saves, Escape gives up, and the focus comes back to the button. What
// was typed stays in the field until the server has answered, which ``answers`` counts; ``error`` is what it said.
import { createElement, useEffect, useRef, useState } from "react";

export function InPlace({ name, text, action, error, answers, onSave, children, ...rest }) {
  const [isEditing, edit] = useState(false);
  const [isWaiting, wait] = useState(false);
  const [isQuiet, quieten] = useState(false);
  const field = useRef(null);
  const button = useRef(null);
  const answered = useRef(answers);
  const isOver = useRef(true); // a field that goes away loses the focus, which must not save it

  const close = () => {
    isOver.current = true;
    edit(false);
    wait(false);
  };
  useEffect(() => {
    if (!isEditing) return undefined;
    field.current.select();
    return () => setTimeout(() => document.activeElement === document.body && button.current?.focus());
  }, [isEditing]);
  useEffect(() => {
    if (answered.current === answers) return;
    answered.current = answers;
    quieten(false);
    if (!isWaiting) return;
    wait(false);
    if (error) field.current?.focus();
    else close();
  }, [answers]);

  const begin = () => {
    isOver.current = false;
    quieten(true);
    edit(true);
  };
  const save = (event) => {
    event?.preventDefault();
    if (isWaiting || isOver.current) return;
    const typed = field.current.value.trim();
    if (typed === text) {
      close();
      return;
    }
    wait(true);
    onSave?.(typed);
  };
  const onKeyDown = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    event.preventDefault();
    close();
  };

  const said = createElement("span", { key: "error", id: `${name}-error`, className: "error", role: "alert" }, isQuiet ? "" : error);
  if (!isEditing) {
    const row = createElement(
      "div",
      { key: "row", className: "in-place" },
      createElement("h2", { id: name, dir: "auto" }, text),
      createElement(
        "button",
        { ref: button, type: "button", className: "button plain square", "aria-label": action, title: action, onClick: begin },
        children,
      ),
    );
    return createElement("div", rest, row, said);
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
      "aria-invalid": (!isQuiet && Boolean(error)) || undefined,
      "aria-describedby": `${name}-error`,
      onBlur: () => save(),
    }),
  );
  return createElement("div", rest, form, said);
}
