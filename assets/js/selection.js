// Selects cards by their checkboxes: Shift selects a range, Escape clears the selection. The server does not know the
// selection until an action is taken. `texts` have the placeholders {n}, {all} and {size}.
import { createElement, useEffect, useRef, useState } from "react";

const DOWNLOAD_INTERVAL_MS = 1500; // after a shorter time, browsers may drop the previous download
const UNITS = ["bytes", "KB", "MB", "GB", "TB"];

export function Selection({ texts, onDelete, children, ...rest }) {
  const container = useRef(null);
  const last = useRef(null);
  const focused = useRef(null); // the card with the focus, and its index
  const [selected, setSelected] = useState([]);
  const [status, setStatus] = useState("");
  const [isDownloading, setDownloading] = useState(false);

  const boxes = () => [...container.current.querySelectorAll("input[data-video]")];
  const updateSelection = () => {
    const now = boxes()
      .filter((box) => box.checked)
      .map(({ dataset }) => ({ ...dataset }));
    setSelected((before) => (isSame(before, now) ? before : now));
  };
  const set = (checked, some = boxes()) => {
    for (const box of some) box.checked = checked;
    setStatus("");
    updateSelection();
  };

  const cards = () => [...container.current.querySelectorAll(".card")];
  const moveFocus = () => {
    if (!focused.current || focused.current.card.isConnected || document.activeElement !== document.body) return;
    const next = cards().at(Math.min(focused.current.index, cards().length - 1));
    next?.querySelector("button, a[href]")?.focus();
  };

  useEffect(() => {
    // The server adds and removes cards; the focus of a removed card moves to the next one.
    const observer = new MutationObserver(() => {
      updateSelection();
      moveFocus();
    });
    observer.observe(container.current, { childList: true, subtree: true });
    return () => {
      observer.disconnect();
      if (focused.current && document.activeElement === document.body) document.querySelector("h1")?.focus();
    };
  }, []);
  useEffect(() => {
    if (selected.length === 0) return undefined;
    const onKey = (event) => {
      if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
      if (!event.target.matches("input:not([type=checkbox]), select, textarea")) set(false);
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      if (document.activeElement === document.body) document.querySelector("h1")?.focus(); // the bar had the focus
    };
  }, [selected.length === 0]);

  const onFocus = ({ target }) => {
    const card = target.closest(".card");
    focused.current = card && { card, index: cards().indexOf(card) };
  };
  const onBlur = ({ target }) => {
    queueMicrotask(() => {
      if (target.isConnected && document.activeElement === document.body) focused.current = null;
    });
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
    const ready = selected.filter(({ ready: isReady }) => isReady);
    setDownloading(true);
    for (const [index, { video }] of ready.entries()) {
      setStatus(fill(texts.downloading, { n: index + 1, all: ready.length }));
      startDownload(`/api/auth/video/${video}/download`);
      if (index + 1 < ready.length) await new Promise((done) => setTimeout(done, DOWNLOAD_INTERVAL_MS));
    }
    setStatus(fill(texts.downloaded, { n: ready.length }));
    setDownloading(false);
  };

  const bar = () => {
    const bytes = selected.reduce((sum, { bytes: own }) => sum + Number(own), 0);
    const text = fill(bytes ? texts.selected_size : texts.selected, { n: selected.length, size: formatSize(bytes) });
    const readyCount = selected.filter(({ ready }) => ready).length;
    const action = (label, variant, onClick, disabled = false) =>
      createElement(
        "button",
        { type: "button", className: `button ${variant}`, onClick, "aria-disabled": disabled || undefined },
        label,
      );
    return createElement(
      "div",
      { className: "selection-bar", role: "region", "aria-label": texts.name },
      createElement("p", { className: "figures", role: "status" }, status || text),
      action(texts.every, "plain", () => set(true), selected.length === boxes().length),
      action(texts.none, "plain", () => set(false)),
      action(texts.download, "", () => isDownloading || !readyCount || download(), isDownloading || !readyCount),
      action(texts.delete, "danger", () => onDelete?.(selected.map(({ video }) => video))),
    );
  };
  return createElement(
    "div",
    { ...rest, ref: container, onClick, onFocus, onBlur, "data-selecting": selected.length > 0 || undefined },
    children,
    selected.length > 0 && bar(),
  );
}

function isSame(before, now) {
  const key = (some) => some.map(({ video, bytes, ready }) => [video, bytes, ready].join()).join(" ");
  return key(before) === key(now);
}

function startDownload(address) {
  const link = Object.assign(document.createElement("a"), { href: address, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function formatSize(bytes) {
  let power = 0;
  for (; bytes >= 999.5 && power < UNITS.length - 1; power += 1) bytes /= 1000;
  return `${bytes.toFixed(power < 2 || bytes >= 99.95 ? 0 : 1)} ${UNITS[power]}`;
}
