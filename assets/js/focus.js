// Keeps the focus in the page: where what had it goes away, it passes on to what stands nearest, which may be marked by
// data-focus; without this the next Tab would begin at the top again.
import { useEffect, useRef } from "react";

const GROUPS = "tr, li, section";
const CONTROLS = "button, a[href], input, select, summary";

export function Focus() {
  const around = useRef([]); // what had the focus, and all that it stood in

  useEffect(() => {
    const main = document.getElementById("main");
    const remember = ({ target }) => {
      if (!target.closest("dialog")) around.current = upwards(target, main);
    };
    const forget = ({ target }) => {
      queueMicrotask(() => target.isConnected && document.activeElement === document.body && (around.current = []));
    };
    const passOn = () => {
      const isLost = around.current.length > 0 && !around.current[0].isConnected;
      if (!isLost || document.activeElement !== document.body || document.querySelector("dialog[open]")) return;
      (nearest(around.current) ?? document.querySelector("h1"))?.focus();
    };
    const watcher = new MutationObserver(passOn);
    main.addEventListener("focusin", remember);
    main.addEventListener("focusout", forget);
    watcher.observe(main, { childList: true, subtree: true });
    return () => {
      main.removeEventListener("focusin", remember);
      main.removeEventListener("focusout", forget);
      watcher.disconnect();
    };
  }, []);
  return null;
}

function upwards(element, top) {
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
