"""Every page in every state, for the screenshots and the accessibility checks."""

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
    user: str = ""  # e-mail address; empty for a visitor
    own_tab: bool = False  # if the scene changes the tab for good


SCENES = (
    Scene("home", page_paths.page_at("/", "Short avatar videos, made from a sentence and kept safe")),
    Scene("login", page_paths.page_at("/login", "Sign in")),
    Scene("login-refused", page_paths.login_refused),
    Scene("register", page_paths.page_at("/register", "Create account")),
    Scene("forgot", page_paths.page_at("/forgot", "Forgot your password?")),
    Scene("forgot-sent", page_paths.page_at("/forgot?done=sent", "Forgot your password?")),
    Scene("reset", page_paths.page_at("/reset?token=x", "Choose a new password")),
    Scene("not-found", page_paths.page_at("/nowhere", "Page not found")),
    Scene("problem", page_paths.page_at("/problem?code=CONFLICT", "This video is not ready")),
    Scene("shared", page_paths.shared),
    Scene("shared-invalid", page_paths.shared_invalid),
    Scene("create", page_paths.page_at("/create", "New video"), OWNER),
    Scene("create-errors", page_paths.create_with_errors, NEWCOMER),
    Scene("modal-writing", page_paths.writing, NEWCOMER),
    Scene("modal-script", page_paths.modal_of(DRAFT, "Your script"), OWNER),
    Scene("modal-rewriting", page_paths.rewriting, OWNER),
    Scene("modal-working", page_paths.modal_of(WORKING, "Making your video"), OWNER),
    Scene("modal-storing", page_paths.modal_of(STORING, "Making your video"), OWNER),
    Scene("modal-ready", page_paths.ready, OWNER),
    Scene("modal-failed", page_paths.modal_of(FAILED, "Something went wrong"), OWNER),
    Scene("modal-failed-refused", page_paths.failed_url_refused, OWNER),
    Scene("modal-cancelled", page_paths.modal_of(CANCELLED, "Cancelled"), OWNER),
    Scene("gallery", page_paths.gallery, OWNER),
    Scene("gallery-loading", page_paths.loading, OWNER, own_tab=True),
    Scene("gallery-offline", page_paths.offline, OWNER, own_tab=True),
    Scene("gallery-empty", page_paths.page_at("/gallery", "Your videos will appear here"), NEWCOMER),
    Scene("gallery-no-results", page_paths.page_at("/gallery?q=cake", "No results for “cake”"), OWNER),
    Scene("gallery-drafts", page_paths.drafts, OWNER),
    Scene("gallery-failed", page_paths.failures, OWNER),
    Scene("gallery-selected", page_paths.several_selected, OWNER),
    Scene("player", page_paths.play, OWNER),
    Scene("rename", page_paths.renaming, OWNER),
    Scene("rename-refused", page_paths.rename_refused, OWNER),
    Scene("share", page_paths.pressed(f"Share {FIRST}"), OWNER),
    Scene("share-reset", page_paths.share_reset, OWNER),
    Scene("import", page_paths.pressed("Import from link"), OWNER),
    Scene("import-refused", page_paths.import_refused, OWNER),
    Scene("delete", page_paths.pressed(f"Delete {FIRST}"), OWNER),
    Scene("delete-many", page_paths.several_to_delete, OWNER),
    Scene("account", page_paths.account, OWNER),
    Scene("account-token", page_paths.new_token, OWNER),
    Scene("notice", page_paths.notice, OWNER),
    Scene("admin", admin_paths.videos, OWNER),
    Scene("admin-selected", admin_paths.selected, OWNER),
    Scene("admin-delete", admin_paths.to_delete, OWNER),
    Scene("admin-people", admin_paths.people, OWNER),
    Scene("admin-account", admin_paths.account, OWNER),
    Scene("admin-invitation", admin_paths.invitation, OWNER),
    Scene("admin-avatars", admin_paths.avatars, OWNER),
    Scene("admin-avatar-refused", admin_paths.avatar_refused, OWNER),
    Scene("admin-activity", admin_paths.activity, OWNER),
    Scene("admin-system", admin_paths.system, OWNER),
    Scene("admin-system-broken", admin_paths.system_broken, OWNER),
    Scene("admin-webhook-log", admin_paths.webhook_log, OWNER),
    Scene("admin-webhook-unread", admin_paths.unread_reply, OWNER),
    Scene("admin-test-order", admin_paths.test_order, OWNER),
    Scene("admin-mismatches", admin_paths.mismatches, OWNER),
    Scene("admin-repair", admin_paths.repair, OWNER),
    Scene("admin-avatars-own", admin_paths.own_avatars, OWNER),
    Scene("admin-avatar-edited", admin_paths.avatar_edited, OWNER),
    Scene("admin-deleted", admin_paths.deleted, OWNER),
    Scene("admin-comparing", admin_paths.comparing, OWNER),
)


DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
ZOOMED: ViewportSize = {"width": 640, "height": 400}  # a desktop at 200 % zoom
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TIMEOUT_MS = HANG_MS
CLEAR_STORAGE = "localStorage.clear(); sessionStorage.clear()"  # sessionStorage has Reflex's token of the tab
# Also renders the cards below the window, and waits for the end of all transitions.
WAIT_UNTIL_SETTLED = """async () => {
    for (const card of document.querySelectorAll(".card")) card.style.contentVisibility = "visible";
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    const changes = document.getAnimations().filter((change) => change instanceof CSSTransition);
    await Promise.allSettled(changes.map((change) => change.finished));
}"""


class Appearance(NamedTuple):
    size: str
    theme: str


APPEARANCES = tuple(Appearance(size, theme) for size in ("desktop", "phone") for theme in THEMES)


class OpenScene(NamedTuple):
    scene: Scene
    page: Page
    scroll_target: Locator | None


def each_scene(browser: Browser, showcase: Showcase) -> Iterator[OpenScene]:
    with scene_tabs(browser, showcase) as tabs:
        for scene in SCENES:
            with open_scene(scene, tabs[scene.user], showcase) as opened:
                yield opened


@contextmanager
def open_scene(scene: Scene, shared: Page, showcase: Showcase) -> Iterator[OpenScene]:
    """Opens the scene; nothing is left of the one before."""
    with _tab(scene, shared) as page:
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        yield OpenScene(scene, page, scene.arrive(page, showcase))
        page.evaluate(CLEAR_STORAGE)


def each_appearance(
    scene: OpenScene, appearances: Sequence[Appearance] = APPEARANCES
) -> Iterator[Appearance]:
    """The same tab in one appearance after the other."""
    for appearance in appearances:
        scene.page.set_viewport_size(PHONE if appearance.size == "phone" else DESKTOP)
        scene.page.emulate_media(color_scheme="dark" if appearance.theme == "dark" else "light")
        expect(scene.page.locator("html")).to_have_class(appearance.theme)
        if scene.scroll_target:
            scene.scroll_target.evaluate("(element) => element.scrollIntoView({block: 'center'})")
        scene.page.evaluate(WAIT_UNTIL_SETTLED)
        yield appearance


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
            shared.goto("/healthz")  # a page of the same site needs no new browser process


@contextmanager
def scene_tabs(browser: Browser, showcase: Showcase) -> Iterator[dict[str, Page]]:
    """One tab for each user of the scenes, by e-mail address."""
    contexts = {user: _context(browser, showcase, user) for user in {scene.user for scene in SCENES}}
    yield {user: context.new_page() for user, context in contexts.items()}
    for context in contexts.values():
        remember(*(cookie.get("value", "") for cookie in context.cookies()))
        context.close()


def _context(browser: Browser, showcase: Showcase, user: str) -> BrowserContext:
    context = browser.new_context(base_url=showcase.app.url, reduced_motion="reduce")
    context.set_default_timeout(TIMEOUT_MS)
    if user:
        context.request.post("/api/auth/login", data={"email": user, "password": PASSWORD})
    return context
