"""Every page in every state, for the screenshots and the accessibility checks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from tests.support import admin_paths, page_paths
from tests.support.geometry import NEXT_FRAME
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
    after: str = ""  # the scene in whose state it begins


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
    Scene("modal-rewriting", page_paths.rewriting, OWNER, after="modal-script"),
    Scene("modal-working", page_paths.modal_of(WORKING, "Making your video"), OWNER),
    Scene("modal-storing", page_paths.modal_of(STORING, "Making your video"), OWNER),
    Scene("modal-ready", page_paths.ready, OWNER),
    Scene("modal-failed", page_paths.modal_of(FAILED, "Something went wrong"), OWNER),
    Scene("modal-failed-refused", page_paths.failed_url_refused, OWNER, after="modal-failed"),
    Scene("modal-cancelled", page_paths.modal_of(CANCELLED, "Cancelled"), OWNER),
    Scene("gallery", page_paths.gallery, OWNER),
    Scene("player", page_paths.play, OWNER, after="gallery"),
    Scene("share", page_paths.pressed(f"Share {FIRST}"), OWNER, after="gallery"),
    Scene("share-reset", page_paths.share_reset, OWNER, after="share"),
    Scene("import", page_paths.pressed("Import from link"), OWNER, after="gallery"),
    Scene("import-refused", page_paths.import_refused, OWNER, after="import"),
    Scene("delete", page_paths.pressed(f"Delete {FIRST}"), OWNER, after="gallery"),
    Scene("gallery-selected", page_paths.several_selected, OWNER, after="gallery"),
    Scene("delete-many", page_paths.several_to_delete, OWNER, after="gallery-selected"),
    Scene("gallery-loading", page_paths.loading, OWNER, own_tab=True),
    Scene("gallery-offline", page_paths.offline, OWNER, own_tab=True),
    Scene("gallery-empty", page_paths.page_at("/gallery", "Your videos will appear here"), NEWCOMER),
    Scene("gallery-no-results", page_paths.page_at("/gallery?q=cake", "No results for “cake”"), OWNER),
    Scene("gallery-drafts", page_paths.drafts, OWNER),
    Scene("gallery-failed", page_paths.failures, OWNER),
    Scene("rename", page_paths.renaming, OWNER),
    Scene("rename-refused", page_paths.rename_refused, OWNER),
    Scene("account", page_paths.account, OWNER),
    Scene("account-token", page_paths.new_token, OWNER, after="account"),
    Scene("notice", page_paths.notice, OWNER, after="account"),
    Scene("admin", admin_paths.videos, OWNER),
    Scene("admin-selected", admin_paths.selected, OWNER, after="admin"),
    Scene("admin-delete", admin_paths.to_delete, OWNER, after="admin-selected"),
    Scene("admin-people", admin_paths.people, OWNER),
    Scene("admin-account", admin_paths.account, OWNER, after="admin-people"),
    Scene("admin-invitation", admin_paths.invitation, OWNER, after="admin-people"),
    Scene("admin-avatars", admin_paths.avatars, OWNER),
    Scene("admin-avatar-refused", admin_paths.avatar_refused, OWNER, after="admin-avatars"),
    Scene("admin-activity", admin_paths.activity, OWNER),
    Scene("admin-system", admin_paths.system, OWNER),
    Scene("admin-webhook-log", admin_paths.webhook_log, OWNER, after="admin-system"),
    Scene("admin-webhook-unread", admin_paths.unread_reply, OWNER, after="admin-system"),
    Scene("admin-test-order", admin_paths.order_steps, OWNER, after="admin-system"),
    Scene("admin-mismatches", admin_paths.mismatches, OWNER, after="admin-system"),
    Scene("admin-repair", admin_paths.repair, OWNER, after="admin-mismatches"),
    Scene("admin-system-broken", admin_paths.system_broken, OWNER),
    Scene("admin-avatars-own", admin_paths.own_avatars, OWNER),
    Scene("admin-avatar-edited", admin_paths.avatar_edited, OWNER, after="admin-avatars-own"),
    Scene("admin-deleted", admin_paths.deleted, OWNER, after="admin"),
    Scene("admin-comparing", admin_paths.comparing, OWNER),
)

BY_NAME = {scene.name: scene for scene in SCENES}

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
ZOOMED: ViewportSize = {"width": 640, "height": 400}  # a desktop at 200 % zoom
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TIMEOUT_MS = HANG_MS
CLEAR_STORAGE = "localStorage.clear(); sessionStorage.clear()"  # sessionStorage has Reflex's token of the tab
# Also renders the cards below the window, and ends all transitions.
WAIT_UNTIL_SETTLED = (
    "async () => {"
    + NEXT_FRAME
    + """
    for (const card of document.querySelectorAll(".card")) card.style.contentVisibility = "visible";
    for (let frame = 0; frame < 2; frame++) await nextFrame();
    for (const change of document.getAnimations()) if (change instanceof CSSTransition) change.finish();
    await nextFrame();
}"""
)


class Appearance(NamedTuple):
    size: str
    theme: str


APPEARANCES = tuple(Appearance(size, theme) for size in ("desktop", "phone") for theme in THEMES)


class OpenScene(NamedTuple):
    scene: Scene
    page: Page
    scroll_target: Locator | None


class SceneTabs:
    """One tab for each user of the scenes, in which a scene continues from the one before if it can."""

    def __init__(self, browser: Browser, showcase: Showcase) -> None:
        self._showcase = showcase
        self.contexts = {user: _context(browser, showcase, user) for user in {scene.user for scene in SCENES}}
        self._pages: dict[str, Page] = {}
        self._trails: dict[str, list[str]] = {user: [] for user in self.contexts}  # the scenes that led here

    @contextmanager
    def open(self, scene: Scene) -> Iterator[OpenScene]:
        if scene.own_tab:
            page, trail = self.contexts[scene.user].new_page(), []
        else:
            page, trail = self._shared(scene.user), self._trails[scene.user]
        page.bring_to_front()  # a page behind another one gets no animation frames
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        yield OpenScene(scene, page, self._arrive(scene, page, trail))
        if scene.own_tab:
            page.close()

    def close(self) -> None:
        for context in self.contexts.values():
            remember(*(cookie.get("value", "") for cookie in context.cookies()))
            context.close()

    def _shared(self, user: str) -> Page:
        if user not in self._pages:
            self._pages[user] = self.contexts[user].new_page()
        return self._pages[user]

    def _arrive(self, scene: Scene, page: Page, trail: list[str]) -> Locator | None:
        if scene.after and scene.after not in trail:
            self._arrive(BY_NAME[scene.after], page, trail)
        elif scene.after and scene.after != trail[-1]:
            page.keyboard.press("Escape")
            expect(page.locator("dialog[open]")).to_have_count(0)
        elif not scene.after and trail:
            page.evaluate(CLEAR_STORAGE)
        led_here = [*trail[: trail.index(scene.after) + 1], scene.name] if scene.after else [scene.name]
        trail.clear()  # in case the scene cannot be reached
        scroll_target = scene.arrive(page, self._showcase)
        trail.extend(led_here)
        return scroll_target


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


def _context(browser: Browser, showcase: Showcase, user: str) -> BrowserContext:
    context = browser.new_context(base_url=showcase.app.url, reduced_motion="reduce")
    context.set_default_timeout(TIMEOUT_MS)
    if user:
        context.request.post("/api/auth/login", data={"email": user, "password": PASSWORD})
    return context
