// Presses the button inside it when it comes near the visible part of the page; ``shown`` is how much there is by now.
import { createElement, useEffect, useRef } from "react";

const AHEAD = "800px";

export function MoreOnScroll({ shown, children, ...rest }) {
  const frame = useRef(null);

  useEffect(() => {
    const watcher = new IntersectionObserver(
      ([entry]) => {
        if (!entry.isIntersecting) return;
        watcher.disconnect();
        frame.current.querySelector("button").click();
      },
      { rootMargin: AHEAD },
    );
    watcher.observe(frame.current);
    return () => watcher.disconnect();
  }, [shown]);

  return createElement("div", { ...rest, ref: frame }, children);
}
