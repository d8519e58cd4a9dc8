// Clicks the button inside it when it comes near the viewport. `shown` is the number of items so far.
import { createElement, useEffect, useRef } from "react";

const MARGIN = "800px";

export function LoadMore({ shown, children, ...rest }) {
  const container = useRef(null);

  useEffect(() => {
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry.isIntersecting) return;
        observer.disconnect();
        container.current.querySelector("button").click();
      },
      { rootMargin: MARGIN },
    );
    observer.observe(container.current);
    return () => observer.disconnect();
  }, [shown]);

  return createElement("div", { ...rest, ref: container }, children);
}
