// What the page derives from a form while typing, without the server: the length of its texts, and whether all
// required fields are filled.
import { createElement, useLayoutEffect, useRef, useState } from "react";

const WORDS = new Intl.Segmenter(undefined, { granularity: "word" });

export function WordCount({ parts, one, many, seconds, wordsAMinute, ...rest }) {
  const node = useRef(null);
  const words = useForm(node, (form) => parts.reduce((sum, part) => sum + countWords(form.elements[part].value), 0));
  const time = duration(Math.round((words * 60) / wordsAMinute), seconds);
  const text = fill(words === 1 ? one : many, { words: words.toLocaleString(), time });
  return createElement("span", { ...rest, ref: node }, text);
}

export function SubmitButton({ disabled, children, ...rest }) {
  const node = useRef(null);
  const isComplete = useForm(node, (form) => [...form.querySelectorAll("[required]")].every(isFilled));
  return createElement("button", { ...rest, ref: node, type: "submit", disabled: disabled || !isComplete }, children);
}

function useForm(node, compute) {
  const [value, setValue] = useState(0);
  useLayoutEffect(() => {
    const form = node.current.closest("form");
    const update = () => setValue(compute(form));
    update(); // also after each change by the server
    form.addEventListener("input", update);
    return () => form.removeEventListener("input", update);
  });
  return value;
}

const isFilled = (field) => field.value.trim() !== "";

const countWords = (text) => [...WORDS.segment(text)].filter(({ isWordLike }) => isWordLike).length;

const fill = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);

const duration = (time, seconds) =>
  time < 60 ? fill(seconds, { seconds: time }) : `${Math.floor(time / 60)}:${String(time % 60).padStart(2, "0")}`;
