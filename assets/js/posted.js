// A form that the browser sends by itself until scripts are there. From then on it is sent from here: what comes back with
// an error changes the page's address only, whose server says what is wrong, and all that was typed stays.
import { createElement, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { forget } from "./forget.js";

const DEADLINE_MS = 60_000; // an account may have many videos to delete with it

export function PostedForm({ trouble, forgets, children, ...rest }) {
  const busy = useRef(null);
  const [said, say] = useState("");
  const navigate = useNavigate();

  const release = () => {
    busy.current?.removeAttribute("aria-busy");
    busy.current = null;
  };
  useEffect(() => {
    // Going back may bring the page as it was left: waiting.
    window.addEventListener("pageshow", release);
    return () => window.removeEventListener("pageshow", release);
  }, []);

  const onSubmit = async (event) => {
    event.preventDefault();
    if (busy.current) return;
    busy.current = event.nativeEvent.submitter ?? event.currentTarget;
    busy.current.setAttribute("aria-busy", "true");
    say("");
    const isLeaving = await sent(event.currentTarget, navigate, forgets).catch(() => say(trouble));
    if (!isLeaving) release();
  };
  return createElement(
    "form",
    { ...rest, noValidate: true, onSubmit },
    children,
    said && createElement("p", { className: "alert", role: "alert" }, said),
  );
}

// Whether the browser is on its way to another page.
async function sent(form, navigate, forgets) {
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    mode: "same-origin",
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const { pathname, search, searchParams } = new URL(answer.url);
  if (answer.status === 401) {
    window.location.reload(); // the session has ended, and the page leads to where one signs in
    return true;
  }
  if (!answer.redirected) throw new Error(answer.statusText);
  if (plain(pathname) === plain(window.location.pathname) && searchParams.has("error")) {
    navigate(`${window.location.pathname}${search}`, { replace: true });
    return false;
  }
  if (forgets) forget(forgets);
  window.location.assign(answer.url);
  return true;
}

const plain = (path) => path.replace(/\/$/, "");
