// A form that the browser sends by itself until scripts are there. From then on it is sent from here: what comes back with
// an error changes the page's address only, whose server says what is wrong, and all that was typed stays.
import { createElement, useRef, useState } from "react";
import { useNavigate } from "react-router";

export function PostedForm({ trouble, children, ...rest }) {
  const isSending = useRef(false);
  const [said, say] = useState("");
  const navigate = useNavigate();

  const onSubmit = async (event) => {
    event.preventDefault();
    if (isSending.current) return;
    isSending.current = true;
    say("");
    const button = event.nativeEvent.submitter;
    button?.setAttribute("aria-busy", "true");
    const isLeaving = await sent(event.currentTarget, navigate).catch(() => say(trouble));
    if (isLeaving) return;
    isSending.current = false;
    button?.removeAttribute("aria-busy");
  };
  return createElement(
    "form",
    { ...rest, noValidate: true, onSubmit },
    children,
    said && createElement("p", { className: "alert", role: "alert" }, said),
  );
}

// Whether the browser is on its way to another page.
async function sent(form, navigate) {
  const body = new URLSearchParams(new FormData(form));
  const answer = await fetch(form.action, { method: "POST", body });
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
  window.location.assign(answer.url);
  return true;
}

const plain = (path) => path.replace(/\/$/, "");
