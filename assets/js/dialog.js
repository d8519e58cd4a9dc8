// A native modal dialog, opened and closed by a prop. It keeps the focus inside and gives it back; while it is
// open the page's address names what it shows, so that loading the page again shows it again. One that was left
// open on another page does not follow to a page whose address does not name it: the server closes it there.
import { createElement, useEffect, useRef } from "react";
import "./busy.js";

const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), textarea, select, video[controls]";

const edge = (onFocus) => createElement("span", { tabIndex: 0, onFocus });

export function Dialog({ open: isOpen, address, onDismiss, children, ...rest }) {
  const dialog = useRef(null);
  const isLeft = useRef(isOpen && !isNamed(address));
  if (!isOpen) isLeft.current = false;
  const open = isOpen && !isLeft.current;

  useEffect(() => {
    const node = dialog.current;
    if (!open || node.open) return undefined;
    const before = document.activeElement;
    node.showModal();
    node.scrollTop = 0; // the browser has been at the last button meanwhile, by way of the edge
    (node.querySelector("[data-focus]") ?? node).focus();
    return () => {
      if (node.open) node.close();
      const back = before?.isConnected && before !== document.body ? before : document.querySelector("h1");
      back?.focus();
    };
  }, [open]);

  useEffect(() => {
    if (!open || !address) return undefined;
    const { pathname } = window.location;
    const named = [...new URLSearchParams(address)];
    rename((query) => named.forEach(([name, value]) => query.set(name, value)));
    return () => {
      if (window.location.pathname === pathname) rename((query) => named.forEach(([name]) => query.delete(name)));
    };
  }, [open, address]);

  useEffect(() => {
    // What had the focus may have gone with the step that it belonged to.
    if (open && document.activeElement === document.body) dialog.current.focus();
  });

  const focusAt = (last) => {
    const inside = dialog.current.querySelectorAll(FOCUSABLE);
    inside[last ? inside.length - 1 : 0]?.focus();
  };
  const ask = (event) => {
    event.preventDefault();
    onDismiss?.();
  };

  return createElement(
    "dialog",
    {
      ...rest,
      ref: dialog,
      tabIndex: -1,
      onCancel: ask,
      onClose: () => open && onDismiss?.(),
      onMouseDown: (event) => event.target === dialog.current && isOutside(event) && ask(event),
    },
    open && edge(({ relatedTarget }) => focusAt(relatedTarget !== null && relatedTarget !== dialog.current)),
    open && children,
    open && edge(() => focusAt(false)),
  );
}

function isNamed(address) {
  if (!address || typeof window === "undefined") return true;
  const query = new URLSearchParams(window.location.search);
  return [...new URLSearchParams(address)].every(([name, value]) => query.get(name) === value);
}

// The rest of the address stays as it is.
function rename(change) {
  const { pathname, search } = window.location;
  const query = new URLSearchParams(search);
  change(query);
  window.history.replaceState(window.history.state, "", query.size ? `${pathname}?${query}` : pathname);
}

function isOutside({ clientX, clientY, currentTarget }) {
  const { left, right, top, bottom } = currentTarget.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}
