// What of the gallery is shown stands in the address, so that loading the page again, going back and sharing the address
// with oneself work. These parts change the address; the server answers it.
import { createElement, useEffect, useRef, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";

const PAUSE_MS = 80;
const PARTS = ["status", "sort", "q"];

const viewOf = (params) => PARTS.map((name) => params.get(name) ?? "").join("\n");

function changed(params, name, value) {
  const next = new URLSearchParams(PARTS.map((part) => [part, params.get(part) ?? ""]).filter(([, kept]) => kept));
  if (value) next.set(name, value);
  else next.delete(name);
  return { search: next.toString() };
}

// Pages are built without a query: what it says may be shown once the page is alive only.
function useView() {
  const [params] = useSearchParams();
  const [isAlive, live] = useState(false);
  useEffect(() => live(true), []);
  return isAlive ? params : new URLSearchParams();
}

export function ViewLink({ part, value, children, ...rest }) {
  const params = useView();
  const isCurrent = (params.get(part) ?? "") === value;
  const link = useRef(null);
  useEffect(() => {
    if (isCurrent) bringIntoView(link.current);
  }, [isCurrent]);
  return createElement(
    Link,
    { ...rest, ref: link, to: changed(params, part, value), "aria-current": isCurrent ? "true" : undefined },
    children,
  );
}

// Where the row is too narrow for all of them; the page itself is not scrolled.
function bringIntoView(link) {
  const row = link.parentElement;
  const [own, its] = [link.getBoundingClientRect(), row.getBoundingClientRect()];
  row.scrollLeft += Math.ceil(Math.max(0, own.right - its.right)) - Math.ceil(Math.max(0, its.left - own.left));
}

export function ViewSearch(rest) {
  const typed = useView().get("q") ?? "";
  const navigate = useNavigate();
  const field = useRef(null);
  const sent = useRef("");
  const timer = useRef(null);

  useEffect(() => {
    if (typed === sent.current) return;
    sent.current = typed;
    field.current.value = typed;
  }, [typed]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const find = () => {
    clearTimeout(timer.current);
    sent.current = field.current.value.trim();
    navigate(changed(new URLSearchParams(window.location.search), "q", sent.current), { replace: true });
  };
  const onInput = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(find, PAUSE_MS);
  };
  const onKeyDown = ({ key }) => key === "Enter" && find();
  return createElement("input", { ...rest, ref: field, type: "search", onInput, onKeyDown });
}

export function ViewSort({ children, ...rest }) {
  const params = useView();
  const navigate = useNavigate();
  const [usual] = [].concat(children).map((option) => option.props.value);
  const onChange = ({ target: { value } }) => navigate(changed(params, "sort", value === usual ? "" : value));
  return createElement("select", { ...rest, value: params.get("sort") ?? usual, onChange }, children);
}

// Steps back at once while the address asks for something else than what is shown.
export function ViewAnswer({ answers, children, ...rest }) {
  const [params] = useSearchParams();
  const [isAlive, live] = useState(false);
  useEffect(() => live(true), []);
  return createElement("div", { ...rest, "aria-busy": (isAlive && viewOf(params) !== answers) || undefined }, children);
}
