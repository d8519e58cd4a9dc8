// Tells early_input.js that React handles the page from now on, and whether the server has loaded its state.
import { useEffect } from "react";

export function Ready({ isLoaded }) {
  // After the effects of all other components
  useEffect(() => queueMicrotask(() => window.videovaultReady?.(isLoaded)), [isLoaded]);
  return null;
}
