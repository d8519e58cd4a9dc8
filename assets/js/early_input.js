// Stands in the head of every page. Until React handles the page, which takes seconds on a slow device, clicks, submits
// and typing would be lost, and a form without an address would load the page again. Until the server has loaded the
// page's state, it would undo what they do. They are kept and repeated once.
// A press counts, too, if the page moved the pressed control away before the pointer was released.
(() => {
  const SLOP = 5; // pixels that a pointer moves during a click
  const PRESSABLE = "button, a[href], summary, label";
  const ALONE = "form[action], [role=switch], [aria-pressed]"; // what needs no state of the server
  let kept = new Map(); // repetitions by control; null once the state is loaded
  let isRendered = false;
  const typed = new Set();
  let isBroken = false; // the page's scripts cannot be loaded: forms that work without them are submitted without them
  let press = null;

  const mustWait = (control) => kept && !(isRendered && worksAlone(control));
  const worksAlone = (control) => control.matches(ALONE) || Boolean(control.form?.matches("form[action]"));

  const keep = (event, control, repeat) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    kept.set(control, repeat);
    control.setAttribute("aria-busy", "true");
  };

  // The address has what the state would fill in.
  const fillHidden = (form) => {
    for (const [name, value] of new URLSearchParams(location.search)) {
      const field = form.elements.namedItem(name);
      if (field?.type === "hidden") field.value = value;
    }
  };

  const onSubmit = (event) => {
    const { target: form, submitter } = event;
    if (!mustWait(form)) return;
    if (isBroken && form.hasAttribute("action")) fillHidden(form);
    else keep(event, submitter ?? form, () => form.requestSubmit(submitter));
  };

  const onError = ({ target }) => {
    if (isRendered || (target !== window && target.type !== "module" && target.rel !== "modulepreload")) return;
    isBroken = true;
    const form = [...kept.keys()]
      .map((control) => control.form ?? control)
      .find((each) => each.matches("form[action]"));
    form?.requestSubmit();
  };

  const onInput = ({ target }) => isRendered || typed.add(target);

  const onPress = ({ target, isPrimary, button, clientX, clientY }) => {
    const control = isPrimary && button === 0 && target.closest(PRESSABLE);
    press = control && { control, clientX, clientY };
  };

  const isMovedAway = ({ control, clientX, clientY }, event) => {
    const { left, right, top, bottom } = control.getBoundingClientRect();
    const isUnderPress = left <= clientX && clientX <= right && top <= clientY && clientY <= bottom;
    const distance = Math.hypot(event.clientX - clientX, event.clientY - clientY);
    return control.isConnected && !control.contains(event.target) && !isUnderPress && distance <= SLOP;
  };

  const onClick = (event) => {
    const isPointer = event.isTrusted && event.detail > 0;
    if (isPointer && press && isMovedAway(press, event)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      press.control.click();
      return;
    }
    const button = event.target.closest("button");
    if (!button || button.type === "submit" || button.popoverTargetElement) return;
    if (mustWait(button)) keep(event, button, () => button.click());
  };

  const repeatTyping = () => {
    for (const control of typed) {
      control.dispatchEvent(new Event("input", { bubbles: true }));
      if (control.matches("select")) control.dispatchEvent(new Event("change", { bubbles: true }));
    }
  };

  // Called by React after its first rendering, and when the state is loaded.
  window.videovaultReady = (isLoaded) => {
    if (!kept) return;
    const repetitions = [...kept];
    const isFirst = !isRendered;
    isRendered = true;
    kept = isLoaded ? null : new Map();
    if (isFirst) repeatTyping();
    for (const [control, repeat] of repetitions) {
      if (mustWait(control)) {
        kept.set(control, repeat);
        continue;
      }
      control.removeAttribute("aria-busy");
      if (control.isConnected) repeat();
    }
  };

  addEventListener("submit", onSubmit, true);
  addEventListener("error", onError, true);
  addEventListener("input", onInput, true);
  addEventListener("pointerdown", onPress, true);
  addEventListener("click", onClick, true);
})();
