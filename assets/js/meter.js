// What is known of the form around it while one types, without asking the server: how long its texts are, and
// whether all that it needs is there.
import { createElement, useLayoutEffect, useRef, useState } from "react";

const WORDS = new Intl.Segmenter(undefined, { granularity: "word" });

export function Meter({ parts, one, many, seconds, wordsAMinute, ...rest }) {
  const node = useRef(null);
  const words = useForm(node, (form) => parts.reduce((sum, part) => sum + counted(form.elements[part].value), 0));
  const time = spoken(Math.round((words * 60) / wordsAMinute), seconds);
  const text = filled(words === 1 ? one : many, { words: words.toLocaleString(), time });
  return createElement("span", { ...rest, ref: node }, text);
}

export function Submit({ disabled, children, ...rest }) {
  const node = useRef(null);
  const isComplete = useForm(node, (form) => [...form.querySelectorAll("[required]")].every(isFilled));
  return createElement("button", { ...rest, ref: node, type: "submit", disabled: disabled || !isComplete }, children);
}

function useForm(node, look) {
  const [seen, see] = useState(0);
  useLayoutEffect(() => {
    const form = node.current.closest("form");
    const update = () => see(look(form));
    update(); // after each change by the server, too
    form.addEventListener("input", update);
    return () => form.removeEventListener("input", update);
  });
  return seen;
}

const isFilled = (field) => field.value.trim() !== "";

const counted = (text) => [...WORDS.segment(text)].filter(({ isWordLike }) => isWordLike).length;

const filled = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);

const spoken = (time, seconds) =>
  time < 60 ? filled(seconds, { seconds: time }) : `${Math.floor(time / 60)}:${String(time % 60).padStart(2, "0")}`;
