// A native form that this script submits once it has loaded. An answer with an error changes only the page's address,
// which tells the server what to show, so that everything typed stays.
import { createElement, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { clearStorage } from "./clear_storage.js";

const DEADLINE_MS = 60_000; // deleting an account also deletes its videos

export function PostedForm({ sendError, clears, children, ...rest }) {
  const busy = useRef(null);
  const [error, setError] = useState("");
  const navigate = useNavigate();

  const release = () => {
    busy.current?.removeAttribute("aria-busy");
    busy.current = null;
  };
  useEffect(() => {
    // The browser may restore the page from its cache in the state in which it was left.
    window.addEventListener("pageshow", release);
    return () => window.removeEventListener("pageshow", release);
  }, []);

  const onSubmit = async (event) => {
    event.preventDefault();
    if (busy.current) return;
    busy.current = event.nativeEvent.submitter ?? event.currentTarget;
    busy.current.setAttribute("aria-busy", "true");
    setError("");
    const isLeaving = await submit(event.currentTarget, navigate, clears).catch(() => setError(sendError));
    if (!isLeaving) release();
  };
  return createElement(
    "form",
    { ...rest, noValidate: true, onSubmit },
    children,
    error && createElement("p", { className: "alert", role: "alert" }, error),
  );
}

// Returns whether the browser is leaving the page.
async function submit(form, navigate, clears) {
  const body = new URLSearchParams(new FormData(form));
  const next = new URLSearchParams(window.location.search).get("next");
  // The field has its value only once the page is connected; a quick or impatient person submits before.
  if (next && body.has("next")) body.set("next", next);
  const answer = await fetch(form.action, {
    method: "POST",
    body,
    mode: "same-origin",
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const { pathname, search, searchParams } = new URL(answer.url);
  if (answer.status === 401) {
    window.location.reload(); // the session has ended: the page redirects to the sign-in page
    return true;
  }
  if (!answer.redirected) throw new Error(answer.statusText);
  if (withoutSlash(pathname) === withoutSlash(window.location.pathname) && searchParams.has("error")) {
    navigate(`${window.location.pathname}${search}`, { replace: true });
    return false;
  }
  if (clears) clearStorage(clears);
  window.location.assign(answer.url);
  return true;
}

const withoutSlash = (path) => path.replace(/\/$/, "");
