// Removes from localStorage what the server no longer needs the browser to keep. Reflex's own event for it loads the
// page's data again, which would open a dialog that is just being closed. Each removal has an id; the last one handled is
// kept for the tab, so that a reload, which shows the same state again, removes nothing that was typed since.
import { useEffect } from "react";

const HANDLED = "videovault/removal";

export function RemoveStored({ removal, storageKeys }) {
  useEffect(() => {
    if (!removal) return;
    try {
      if (sessionStorage.getItem(HANDLED) === removal) return;
      for (const key of storageKeys) localStorage.removeItem(key);
      sessionStorage.setItem(HANDLED, removal);
    } catch {
      // Storage is forbidden, so nothing is kept in it.
    }
  }, [removal]);
  return null;
}
