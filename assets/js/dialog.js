// A native modal dialog, opened and closed by a prop. It traps the focus and restores it. While it is open, the page's
// address names what it shows, so that a reload shows it again. A dialog left open on another page stays hidden on a
// page whose address does not name it; the server closes it there.
import { createElement, useEffect, useRef } from "react";
import "./busy.js";

const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), textarea, select, video[controls]";

const focusTrap = (onFocus) => createElement("span", { tabIndex: 0, onFocus });

export function Dialog({ open: isOpen, address, onDismiss, children, ...rest }) {
  const dialog = useRef(null);
  const isLeftover = useRef(isOpen && !isNamed(address));
  if (!isOpen) isLeftover.current = false;
  const open = isOpen && !isLeftover.current;

  useEffect(() => {
    const node = dialog.current;
    if (!open || node.open) return undefined;
    const before = document.activeElement;
    node.showModal();
    node.scrollTop = 0; // showModal focuses the first focus trap, which moves on to the last button
    (node.querySelector("[data-focus]") ?? node).focus();
    return () => {
      if (node.open) node.close();
      const target = before?.isConnected && before !== document.body ? before : document.querySelector("h1");
      target?.focus();
    };
  }, [open]);

  useEffect(() => {
    if (!open || !address) return undefined;
    const { pathname } = window.location;
    const parameters = [...new URLSearchParams(address)];
    changeQuery((query) => {
      for (const [name, value] of parameters) query.set(name, value);
    });
    return () => {
      if (window.location.pathname !== pathname) return;
      changeQuery((query) => {
        for (const [name] of parameters) query.delete(name);
      });
    };
  }, [open, address]);

  useEffect(() => {
    // The focused element may have been removed with its step.
    if (open && document.activeElement === document.body) dialog.current.focus();
  });

  const focusAt = (last) => {
    const inside = dialog.current.querySelectorAll(FOCUSABLE);
    inside[last ? inside.length - 1 : 0]?.focus();
  };
  const dismiss = (event) => {
    event.preventDefault();
    onDismiss?.();
  };

  return createElement(
    "dialog",
    {
      ...rest,
      ref: dialog,
      tabIndex: -1,
      onCancel: dismiss,
      onClose: () => open && onDismiss?.(),
      onMouseDown: (event) => event.target === dialog.current && isOutside(event) && dismiss(event),
    },
    open && focusTrap(({ relatedTarget }) => focusAt(relatedTarget !== null && relatedTarget !== dialog.current)),
    open && children,
    open && focusTrap(() => focusAt(false)),
  );
}

function isNamed(address) {
  if (!address || typeof window === "undefined") return true;
  const query = new URLSearchParams(window.location.search);
  return [...new URLSearchParams(address)].every(([name, value]) => query.get(name) === value);
}

function changeQuery(change) {
  const { pathname, search } = window.location;
  const query = new URLSearchParams(search);
  change(query);
  window.history.replaceState(window.history.state, "", query.size ? `${pathname}?${query}` : pathname);
}

function isOutside({ clientX, clientY, currentTarget }) {
  const { left, right, top, bottom } = currentTarget.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}
