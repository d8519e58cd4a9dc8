// Keeps in the address what a list shows, so that loading the page again shows it again. What the address says when
// the page opens is the server's to read: only what changes from then on is written there.
import { useEffect, useRef } from "react";

export function Address({ query }) {
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    const { pathname, hash } = window.location;
    window.history.replaceState(window.history.state, "", pathname + (query ? `?${query}` : "") + hash);
  }, [query]);
  return null;
}
