// A password that its person may look at. It is hidden again as it is sent, as password managers expect.
import { createElement, useEffect, useRef, useState } from "react";

export function Secret({ label, children, ...rest }) {
  const frame = useRef(null);
  const [isShown, show] = useState(false);
  const [field, picture] = children;

  useEffect(() => {
    const { form } = frame.current.querySelector("input");
    const hide = () => {
      frame.current.querySelector("input").type = "password";
      show(false);
    };
    form.addEventListener("submit", hide);
    return () => form.removeEventListener("submit", hide);
  }, []);

  const toggle = () => {
    frame.current.querySelector("input").type = isShown ? "password" : "text";
    show(!isShown);
  };
  return createElement(
    "div",
    { ...rest, ref: frame },
    field,
    createElement(
      "button",
      { type: "button", role: "switch", "aria-checked": isShown, "aria-label": label, title: label, onClick: toggle },
      picture,
    ),
  );
}
