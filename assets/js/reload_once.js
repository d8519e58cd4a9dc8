// Stands in the head of every page. A file that the page cannot load belongs to a version that is gone, so the page is
// loaded again, once: React Router would reload without end, and forget where the user wanted to go.
(() => {
  const KEY = "videovault/reloaded"; // the files that the tab was reloaded for, and when
  const PAUSE_MS = 60_000;
  const RETRY_MS = 1_000;
  let reloading = null;

  const mayReload = (file) => {
    try {
      const times = JSON.parse(sessionStorage.getItem(KEY)) ?? {};
      if (file in times || Math.max(0, ...Object.values(times)) > Date.now() - PAUSE_MS) return false;
      sessionStorage.setItem(KEY, JSON.stringify({ ...times, [file]: Date.now() }));
      return true;
    } catch {
      return false; // without storage, reloading might never end
    }
  };

  const isUp = () =>
    fetch("/healthz", { cache: "no-store" }).then(
      (response) => response.ok,
      () => false,
    );

  // Ends only with false: after a reload, nothing of this page goes on.
  const reload = async (file) => {
    while (!(await isUp())) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    if (!mayReload(file)) return false;
    const next = window.__reactRouterDataRouter?.state.navigation.location;
    if (next) location.assign(next.pathname + next.search + next.hash);
    else location.reload();
    return new Promise(() => {});
  };

  const reloadOnce = async (file) => {
    reloading ??= reload(file).finally(() => {
      reloading = null;
    });
    return reloading;
  };

  // Called by React Router in place of its own reload.
  window.videovaultReload = async (file, error) => {
    if (!(await reloadOnce(file))) throw error;
  };

  const showIncomplete = () => {
    if (document.getElementById("incomplete")) return;
    const link = Object.assign(document.createElement("a"), { href: "", textContent: "Reload page" });
    const text = Object.assign(document.createElement("p"), { id: "incomplete", className: "offline", role: "alert" });
    text.append("This page could not be loaded completely. ", link);
    document.body.prepend(text);
  };

  const onError = async ({ target }) => {
    const isScript = target.type === "module" || target.rel === "modulepreload";
    if (!isScript && target.rel !== "stylesheet") return;
    const file = new URL(target.src || target.href || location.href).pathname;
    if (!(await reloadOnce(file)) && isScript) showIncomplete();
  };
  addEventListener("error", onError, true);
  addEventListener("vite:preloadError", ({ payload }) => reloadOnce(payload.message));
})();
