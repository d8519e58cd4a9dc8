// When the focused element is removed, the focus moves to the nearest control, or to an element with data-focus.
// Otherwise the next Tab would start at the top of the page.
import { useEffect, useRef } from "react";

const GROUPS = "tr, li, section";
const CONTROLS = "button, a[href], input, select, summary";

export function KeepFocus() {
  const ancestors = useRef([]); // the focused element and its ancestors

  useEffect(() => {
    const main = document.getElementById("main");
    const remember = ({ target }) => {
      if (!target.closest("dialog")) ancestors.current = ancestorsOf(target, main);
    };
    const forget = ({ target }) => {
      queueMicrotask(() => {
        if (target.isConnected && document.activeElement === document.body) ancestors.current = [];
      });
    };
    const moveFocus = () => {
      const isLost = ancestors.current.length > 0 && !ancestors.current[0].isConnected;
      if (!isLost || document.activeElement !== document.body || document.querySelector("dialog[open]")) return;
      (nearest(ancestors.current) ?? document.querySelector("h1"))?.focus();
    };
    const observer = new MutationObserver(moveFocus);
    main.addEventListener("focusin", remember);
    main.addEventListener("focusout", forget);
    observer.observe(main, { childList: true, subtree: true });
    return () => {
      main.removeEventListener("focusin", remember);
      main.removeEventListener("focusout", forget);
      observer.disconnect();
    };
  }, []);
  return null;
}

function ancestorsOf(element, top) {
  const path = [];
  for (let each = element; each && each !== top; each = each.parentElement) path.push(each);
  return [...path, top];
}

function nearest(path) {
  for (const each of path.filter(({ isConnected }) => isConnected)) {
    if (each.matches("[data-focus]")) return each;
    const next = each.querySelector(each.matches(GROUPS) ? CONTROLS : "[data-focus]");
    if (next) return next;
  }
  return null;
}
