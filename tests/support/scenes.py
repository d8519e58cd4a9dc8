"""Every page in every state that people meet, looked at by the screenshots and by axe."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from tests.support import admin_paths, page_paths
from tests.support.log_grep import remember
from tests.support.showcase import (
    CANCELLED,
    DRAFT,
    FAILED,
    NEWCOMER,
    OWNER,
    PASSWORD,
    STORING,
    TOPICS,
    WORKING,
    Showcase,
)
from tests.support.waiting import HANG_MS

FIRST = TOPICS[0]


@dataclass(frozen=True)
class Scene:
    name: str
    arrive: page_paths.PagePath
    who: str = ""
    own_tab: bool = False  # since what happens to it cannot be taken back


SCENES = (
    Scene("home", page_paths.page_at("/", "Short avatar videos, made from a sentence and kept safe")),
    Scene("login", page_paths.page_at("/login", "Sign in")),
    Scene("login-refused", page_paths.login_refused),
    Scene("register", page_paths.page_at("/register", "Create account")),
    Scene("forgot", page_paths.page_at("/forgot", "Forgot your password?")),
    Scene("forgot-sent", page_paths.page_at("/forgot?done=sent", "Forgot your password?")),
    Scene("reset", page_paths.page_at("/reset?token=x", "Choose a new password")),
    Scene("not-found", page_paths.page_at("/nowhere", "There is nothing here")),
    Scene("problem", page_paths.page_at("/problem?code=CONFLICT", "This video is not ready")),
    Scene("shared", page_paths.shared),
    Scene("shared-dead", page_paths.shared_no_more),
    Scene("create", page_paths.page_at("/create", "New video"), OWNER),
    Scene("create-errors", page_paths.create_with_errors, NEWCOMER),
    Scene("modal-writing", page_paths.writing, NEWCOMER),
    Scene("modal-script", page_paths.modal_of(DRAFT, "Your script"), OWNER),
    Scene("modal-rewriting", page_paths.writing_anew, OWNER),
    Scene("modal-working", page_paths.modal_of(WORKING, "Making your video"), OWNER),
    Scene("modal-storing", page_paths.modal_of(STORING, "Making your video"), OWNER),
    Scene("modal-ready", page_paths.ready, OWNER),
    Scene("modal-failed", page_paths.modal_of(FAILED, "This did not work"), OWNER),
    Scene("modal-failed-refused", page_paths.failed_address_refused, OWNER),
    Scene("modal-cancelled", page_paths.modal_of(CANCELLED, "Cancelled"), OWNER),
    Scene("gallery", page_paths.gallery, OWNER),
    Scene("gallery-loading", page_paths.nothing_comes, OWNER, own_tab=True),
    Scene("gallery-cut-off", page_paths.cut_off, OWNER, own_tab=True),
    Scene("gallery-empty", page_paths.page_at("/gallery", "Your videos will be here"), NEWCOMER),
    Scene("gallery-nothing-found", page_paths.page_at("/gallery?q=cake", "Nothing found for “cake”"), OWNER),
    Scene("gallery-drafts", page_paths.drafts, OWNER),
    Scene("gallery-failed", page_paths.failures, OWNER),
    Scene("gallery-selected", page_paths.several_selected, OWNER),
    Scene("player", page_paths.play, OWNER),
    Scene("rename", page_paths.renaming, OWNER),
    Scene("rename-refused", page_paths.rename_refused, OWNER),
    Scene("share", page_paths.pressed(f"Share {FIRST}"), OWNER),
    Scene("share-new-key", page_paths.new_key, OWNER),
    Scene("adding", page_paths.pressed("Add from a link"), OWNER),
    Scene("adding-refused", page_paths.address_refused, OWNER),
    Scene("delete", page_paths.pressed(f"Delete {FIRST}"), OWNER),
    Scene("delete-many", page_paths.several_to_delete, OWNER),
    Scene("account", page_paths.account, OWNER),
    Scene("account-token", page_paths.fresh_token, OWNER),
    Scene("notice", page_paths.notice, OWNER),
    Scene("admin", admin_paths.videos, OWNER),
    Scene("admin-selected", admin_paths.selected, OWNER),
    Scene("admin-delete", admin_paths.to_delete, OWNER),
    Scene("admin-people", admin_paths.people, OWNER),
    Scene("admin-person", admin_paths.person, OWNER),
    Scene("admin-invitation", admin_paths.invitation, OWNER),
    Scene("admin-avatars", admin_paths.avatars, OWNER),
    Scene("admin-avatar-refused", admin_paths.avatar_refused, OWNER),
    Scene("admin-activity", admin_paths.activity, OWNER),
    Scene("admin-system", admin_paths.system, OWNER),
    Scene("admin-system-broken", admin_paths.system_broken, OWNER),
    Scene("admin-inbox", admin_paths.inbox, OWNER),
    Scene("admin-unread", admin_paths.unread, OWNER),
    Scene("admin-test-order", admin_paths.ordered_on_trial, OWNER),
    Scene("admin-orphans", admin_paths.orphans, OWNER),
    Scene("admin-mending", admin_paths.mending, OWNER),
    Scene("admin-avatars-own", admin_paths.own_avatars, OWNER),
    Scene("admin-avatar-edited", admin_paths.avatar_edited, OWNER),
    Scene("admin-deleted", admin_paths.deleted, OWNER),
    Scene("admin-comparing", admin_paths.comparing, OWNER),
)


# Brings scenes onto the screen, for each who may see them, in light and dark, on desktop and phone.

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
ZOOMED: ViewportSize = {"width": 640, "height": 400}  # what 200 % leaves of the desktop
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TIMEOUT_MS = HANG_MS
CLEAR_STORAGE = "localStorage.clear(); sessionStorage.clear()"  # in the latter, what Reflex knows a tab by
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
        page.evaluate(CLEAR_STORAGE)


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
    context.set_default_timeout(TIMEOUT_MS)
    if who:
        context.request.post("/api/auth/login", data={"email": who, "password": PASSWORD})
    return context
