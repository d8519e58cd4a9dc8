"""Operates a page by keyboard only."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

MAX_STOPS = 60
# The accessible name of the focused element, and whether its focus ring is visible.
FOCUSED = """() => {
    const focused = document.activeElement;
    const shown = focused.closest("label.face") ?? focused;
    return {
        name: focused.ariaLabel || focused.labels?.[0]?.firstChild?.textContent || focused.innerText || "",
        hasFocusRing: getComputedStyle(shown).outlineStyle !== "none",
        isRadio: focused.type === "radio",
        isInDialog: focused.closest("dialog") !== null,
    };
}"""


def tab_to(page: Page, name: str, *, key: str = "Tab") -> None:
    """Press Tab, or Shift+Tab, until the element with this accessible name has a visible focus."""
    _tab(page, lambda focused: focused["name"].strip() == name, name, key)


def tab_to_radio(page: Page) -> None:
    """Press Tab until a radio button has the focus."""
    _tab(page, lambda focused: focused["isRadio"], "a radio button", "Tab")


def _tab(page: Page, is_wanted: Callable[[Any], bool], name: str, key: str) -> None:
    passed = []
    for _ in range(MAX_STOPS):
        page.keyboard.press(key)
        focused = page.evaluate(FOCUSED)
        passed.append(focused["name"])
        if is_wanted(focused):
            assert focused["hasFocusRing"], f"the focus on {name} is not visible"
            return
    raise AssertionError(f"Tab does not lead to {name} at {page.url}, but to {passed}")


def is_in_dialog(page: Page) -> bool:
    return bool(page.evaluate(FOCUSED)["isInDialog"])
