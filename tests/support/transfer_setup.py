"""Brings scenes onto the screen, for each who may see them, in light and dark, on desktop and phone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from tests.support.log_grep import remember
from tests.support.scenes import SCENES, Scene
from tests.support.showcase import PASSWORD, Showcase
from tests.support.waiting import HANG_MS

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
ZOOMED: ViewportSize = {"width": 640, "height": 400}  # what 200 % leaves of the desktop
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE_MS = HANG_MS
FORGET = "localStorage.clear(); sessionStorage.clear()"  # in the latter, what Reflex knows a tab by
# Drawn as it is to be, below the window too, with no colour on its way to another one.
SETTLED = """async () => {
    for (const card of document.querySelectorAll(".card")) card.style.contentVisibility = "visible";
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    const changes = document.getAnimations().filter((change) => change instanceof CSSTransition);
    await Promise.allSettled(changes.map((change) => change.finished));
}"""


class Look(NamedTuple):
    size: str
    theme: str


LOOKS = tuple(Look(size, theme) for size in ("desktop", "phone") for theme in THEMES)


class Seen(NamedTuple):
    scene: Scene
    page: Page
    in_sight: Locator | None


def each_scene(browser: Browser, shown: Showcase) -> Iterator[Seen]:
    with people(browser, shown) as tabs:
        for scene in SCENES:
            with on_screen(scene, tabs[scene.who], shown) as seen:
                yield seen


@contextmanager
def on_screen(scene: Scene, shared: Page, shown: Showcase) -> Iterator[Seen]:
    """As if in a tab of its own: nothing is left from the scene before."""
    with _tab(scene, shared) as page:
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        yield Seen(scene, page, scene.arrive(page, shown))
        page.evaluate(FORGET)


def each_look(seen: Seen, looks: Sequence[Look] = LOOKS) -> Iterator[Look]:
    """The same tab in one look after the other."""
    for look in looks:
        seen.page.set_viewport_size(PHONE if look.size == "phone" else DESKTOP)
        seen.page.emulate_media(color_scheme="dark" if look.theme == "dark" else "light")
        expect(seen.page.locator("html")).to_have_class(look.theme)
        if seen.in_sight:
            seen.in_sight.evaluate("(element) => element.scrollIntoView({block: 'center'})")
        seen.page.evaluate(SETTLED)
        yield look


@contextmanager
def _tab(scene: Scene, shared: Page) -> Iterator[Page]:
    if scene.own_tab:
        page = shared.context.new_page()
        try:
            yield page
        finally:
            page.close()
    else:
        try:
            yield shared
        finally:
            shared.goto("/healthz")  # a page of another site, or none, would cost a new process each time


@contextmanager
def people(browser: Browser, shown: Showcase) -> Iterator[dict[str, Page]]:
    """A tab for each of those who see scenes, by e-mail address; nobody's is for visitors."""
    contexts = {who: _visitor(browser, shown, who) for who in {scene.who for scene in SCENES}}
    yield {who: context.new_page() for who, context in contexts.items()}
    for context in contexts.values():
        remember(*(cookie.get("value", "") for cookie in context.cookies()))
        context.close()


def _visitor(browser: Browser, shown: Showcase, who: str) -> BrowserContext:
    context = browser.new_context(base_url=shown.app.url, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    if who:
        context.request.post("/api/auth/login", data={"email": who, "password": PASSWORD})
    return context
