"""Going about a page by keyboard alone, as somebody does who has no pointer."""

from playwright.sync_api import Page

MOST_STOPS = 60
# What a screen reader calls the element with the focus, and whether anybody can see that it has it.
FOCUSED = """() => {
    const focused = document.activeElement;
    const shown = focused.closest("label.face") ?? focused;
    return {
        name: focused.ariaLabel || focused.labels?.[0]?.firstChild?.textContent || focused.innerText || "",
        isSeen: getComputedStyle(shown).outlineStyle !== "none",
        isInDialog: focused.closest("dialog") !== null,
    };
}"""


def tab_to(page: Page, name: str, *, key: str = "Tab") -> None:
    """Press Tab, or Shift+Tab, until what is called so has the focus, which has to be visible at every stop."""
    passed = []
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        focused = page.evaluate(FOCUSED)
        passed.append(focused["name"])
        if focused["name"].strip() == name:
            assert focused["isSeen"], f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"Tab does not lead to {name}, but to {passed}")


def is_in_dialog(page: Page) -> bool:
    return bool(page.evaluate(FOCUSED)["isInDialog"])
