// The gallery's filter, search and sort order are part of the address, so that reload, back and bookmarks work. These
// components change the address; the server answers to it.
import { createElement, useEffect, useRef, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";

const PAUSE_MS = 80;
const PARAMETERS = ["status", "sort", "q"];

const viewOf = (params) => PARAMETERS.map((name) => params.get(name) ?? "").join("\n");

function withParameter(params, name, value) {
  const next = new URLSearchParams(PARAMETERS.map((part) => [part, params.get(part) ?? ""]).filter(([, kept]) => kept));
  if (value) next.set(name, value);
  else next.delete(name);
  return { search: next.toString() };
}

// Pages are pre-rendered without a query, so it may be used only after hydration.
function useView() {
  const [params] = useSearchParams();
  const [isHydrated, setHydrated] = useState(false);
  useEffect(() => setHydrated(true), []);
  return isHydrated ? params : new URLSearchParams();
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
    { ...rest, ref: link, to: withParameter(params, part, value), "aria-current": isCurrent ? "true" : undefined },
    children,
  );
}

// Scrolls the row of filters, not the page.
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

  const search = () => {
    clearTimeout(timer.current);
    sent.current = field.current.value.trim();
    navigate(withParameter(new URLSearchParams(window.location.search), "q", sent.current), { replace: true });
  };
  const onInput = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(search, PAUSE_MS);
  };
  const onKeyDown = ({ key }) => key === "Enter" && search();
  return createElement("input", { ...rest, ref: field, type: "search", onInput, onKeyDown });
}

export function ViewSort({ children, ...rest }) {
  const params = useView();
  const navigate = useNavigate();
  const [standard] = [].concat(children).map((option) => option.props.value);
  const onChange = ({ target: { value } }) => navigate(withParameter(params, "sort", value === standard ? "" : value));
  return createElement("select", { ...rest, value: params.get("sort") ?? standard, onChange }, children);
}

// Busy from the moment at which the address asks for another view than the one that is shown.
export function ViewResults({ view, children, ...rest }) {
  const [params] = useSearchParams();
  const [isHydrated, setHydrated] = useState(false);
  useEffect(() => setHydrated(true), []);
  return createElement("div", { ...rest, "aria-busy": (isHydrated && viewOf(params) !== view) || undefined }, children);
}
