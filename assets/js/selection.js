// Selecting several of the cards inside it by their checkboxes: with shift a whole row, with Escape none any more. It is
// the browser's affair until something is done with them. ``words`` are what it says, with {n}, {all} and {size}.
import { createElement, useEffect, useRef, useState } from "react";

const NEXT_MS = 1500; // a browser that is asked for the next file sooner may drop the one before
const UNITS = ["bytes", "KB", "MB", "GB", "TB"];

export function Selection({ words, onDelete, children, ...rest }) {
  const frame = useRef(null);
  const last = useRef(null);
  const held = useRef(null); // the card that has the focus, and its place
  const [chosen, choose] = useState([]);
  const [said, say] = useState("");
  const [isFetching, fetching] = useState(false);

  const boxes = () => [...frame.current.querySelectorAll("input[data-video]")];
  const recount = () => {
    const now = boxes().filter((box) => box.checked).map(({ dataset }) => ({ ...dataset }));
    choose((before) => (isSame(before, now) ? before : now));
  };
  const set = (checked, some = boxes()) => {
    for (const box of some) box.checked = checked;
    say("");
    recount();
  };

  const cards = () => [...frame.current.querySelectorAll(".card")];
  const holdOn = () => {
    if (!held.current || held.current.card.isConnected || document.activeElement !== document.body) return;
    const next = cards().at(Math.min(held.current.place, cards().length - 1));
    next?.querySelector("button, a[href]")?.focus();
  };

  useEffect(() => {
    // Cards come and go by themselves; the focus of one that went is taken by the next.
    const watcher = new MutationObserver(() => (recount(), holdOn()));
    watcher.observe(frame.current, { childList: true, subtree: true });
    return () => {
      watcher.disconnect();
      if (held.current && document.activeElement === document.body) document.querySelector("h1")?.focus();
    };
  }, []);
  useEffect(() => {
    if (chosen.length === 0) return undefined;
    const onKey = (event) => {
      if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
      if (!event.target.matches("input:not([type=checkbox]), select, textarea")) set(false);
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      if (document.activeElement === document.body) document.querySelector("h1")?.focus(); // the bar had it
    };
  }, [chosen.length === 0]);

  const onFocus = ({ target }) => {
    const card = target.closest(".card");
    held.current = card && { card, place: cards().indexOf(card) };
  };
  const onBlur = ({ target }) => {
    queueMicrotask(() => target.isConnected && document.activeElement === document.body && (held.current = null));
  };
  const onClick = (event) => {
    const box = event.target.closest?.("input[data-video]");
    if (!box) return;
    const all = boxes();
    const from = all.indexOf(last.current);
    const to = all.indexOf(box);
    const range = event.shiftKey && from >= 0 ? all.slice(Math.min(from, to), Math.max(from, to) + 1) : [box];
    last.current = box;
    set(box.checked, range);
  };
  const download = async () => {
    const ready = chosen.filter(({ ready: isReady }) => isReady);
    fetching(true);
    for (const [index, { video }] of ready.entries()) {
      say(fill(words.downloading, { n: index + 1, all: ready.length }));
      save(`/api/auth/video/${video}/download`);
      if (index + 1 < ready.length) await new Promise((done) => setTimeout(done, NEXT_MS));
    }
    say(fill(words.downloaded, { n: ready.length }));
    fetching(false);
  };

  const bar = () => {
    const bytes = chosen.reduce((sum, { bytes: own }) => sum + Number(own), 0);
    const text = fill(bytes ? words.selected_size : words.selected, { n: chosen.length, size: sized(bytes) });
    const readies = chosen.filter(({ ready }) => ready).length;
    const act = (label, look, onAct, disabled = false) =>
      createElement("button", { type: "button", className: `button ${look}`, onClick: onAct, "aria-disabled": disabled || undefined }, label);
    return createElement(
      "div",
      { className: "selection-bar", role: "region", "aria-label": words.name },
      createElement("p", { className: "figures", role: "status" }, said || text),
      act(words.every, "plain", () => set(true), chosen.length === boxes().length),
      act(words.none, "plain", () => set(false)),
      act(words.download, "", () => isFetching || !readies || download(), isFetching || !readies),
      act(words.delete, "danger", () => onDelete?.(chosen.map(({ video }) => video))),
    );
  };
  return createElement(
    "div",
    { ...rest, ref: frame, onClick, onFocus, onBlur, "data-selecting": chosen.length > 0 || undefined },
    children,
    chosen.length > 0 && bar(),
  );
}

function isSame(before, now) {
  const key = (some) => some.map(({ video, bytes, ready }) => [video, bytes, ready].join()).join(" ");
  return key(before) === key(now);
}

function save(address) {
  const link = Object.assign(document.createElement("a"), { href: address, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function sized(bytes) {
  let power = 0;
  for (; bytes >= 999.5 && power < UNITS.length - 1; power += 1) bytes /= 1000;
  return `${bytes.toFixed(power < 2 || bytes >= 99.95 ? 0 : 1)} ${UNITS[power]}`;
}
