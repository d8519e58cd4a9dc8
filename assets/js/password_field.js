// A password field that can be made visible. It is hidden again on submit, as password managers expect.
import { createElement, useEffect, useRef, useState } from "react";

export function PasswordField({ label, children, ...rest }) {
  const container = useRef(null);
  const [isVisible, setVisible] = useState(false);
  const [field, icon] = children;

  useEffect(() => {
    const { form } = container.current.querySelector("input");
    const hide = () => {
      container.current.querySelector("input").type = "password";
      setVisible(false);
    };
    form.addEventListener("submit", hide);
    return () => form.removeEventListener("submit", hide);
  }, []);

  const toggle = () => {
    container.current.querySelector("input").type = isVisible ? "password" : "text";
    setVisible(!isVisible);
  };
  return createElement(
    "div",
    { ...rest, ref: container },
    field,
    createElement(
      "button",
      { type: "button", role: "switch", "aria-checked": isVisible, "aria-label": label, title: label, onClick: toggle },
      icon,
    ),
  );
}
