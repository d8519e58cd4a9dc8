// Keeps the query of the address in step with what a list shows, so that a reload shows the same. The server reads the
// query with which the page was opened, so only later changes are written.
import { useEffect, useRef } from "react";

export function QueryString({ query }) {
  const isFirstRender = useRef(true);
  useEffect(() => {
    if (isFirstRender.current) {
      isFirstRender.current = false;
      return;
    }
    const { pathname, hash } = window.location;
    window.history.replaceState(window.history.state, "", pathname + (query ? `?${query}` : "") + hash);
  }, [query]);
  return null;
}
