"""The table of routes: each page, its address, and the events that run when it opens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx

from videovault.pages import admin
from videovault.pages.account import account
from videovault.pages.create import create
from videovault.pages.gallery import gallery
from videovault.pages.home import home
from videovault.pages.layout import not_found, problem
from videovault.pages.sharing import share_page
from videovault.pages.sign_in import forgot, login, register, reset
from videovault.state import wording
from videovault.state.account import AccountState
from videovault.state.admin.activity import AdminActivityState
from videovault.state.admin.avatars import AdminAvatarsState
from videovault.state.admin.mismatches import AdminMismatchesState
from videovault.state.admin.system import AdminSystemState, AdminTestOrderState
from videovault.state.admin.users import AdminUsersState
from videovault.state.admin.videos import AdminVideosState
from videovault.state.admin.webhook_log import AdminWebhookLogState
from videovault.state.create import CreateState
from videovault.state.delete_dialog import DeleteDialogState
from videovault.state.gallery import GalleryState
from videovault.state.import_dialog import ImportDialogState
from videovault.state.live_updates import ProgressState
from videovault.state.problem import ProblemState
from videovault.state.session import AdminState, SessionState
from videovault.state.share_dialog import ShareDialogState
from videovault.state.share_page import SharePageState
from videovault.state.sign_in import SignInState

PRODUCT = "VideoVault"


@dataclass(frozen=True)
class Page:
    """``name`` is the page's part of the title in the browser's tab.

    ``on_reconnect`` runs in place of ``on_load`` when the connection of an open page is restored: it must leave dialogs,
    selections and what was typed as they are. None: ``on_load``, too.
    """

    route: str
    component: Callable[[], rx.Component]
    name: str
    on_load: Sequence[Any] = ()
    on_reconnect: Sequence[Any] | None = None
    description: str = "Create short avatar videos and keep them in your own storage."

    @property
    def title(self) -> Any:
        """Title of the browser's tab; for anyone but an admin, admin pages have the title of an unknown page."""
        title = f"{self.name} · {PRODUCT}" if self.name else PRODUCT
        if not self.route.startswith("/admin"):
            return title
        return rx.match(
            AdminState.access, ("yes", title), ("no", f"{wording.PAGE_NOT_FOUND} · {PRODUCT}"), PRODUCT
        )


PAGES = (
    Page("/", home, "", [SessionState.go_home]),
    Page("/login", login, wording.SIGN_IN, [SignInState.enter]),
    Page("/register", register, wording.CREATE_ACCOUNT, [SignInState.enter_sign_up]),
    Page("/forgot", forgot, wording.FORGOT_PASSWORD, [SignInState.enter_recovery]),
    Page("/reset", reset, wording.NEW_PASSWORD, [SignInState.enter_recovery]),
    Page(
        "/create",
        create,
        wording.NEW_VIDEO,
        [CreateState.enter, ShareDialogState.cancel, ProgressState.watch],
        [CreateState.resume, ProgressState.watch],
    ),
    Page(
        "/gallery",
        gallery,
        wording.GALLERY,
        [
            GalleryState.load,
            CreateState.enter,
            DeleteDialogState.cancel,
            ImportDialogState.close,
            ShareDialogState.cancel,
            ProgressState.watch,
        ],
        [GalleryState.refresh, CreateState.resume, ProgressState.watch],
    ),
    Page(
        "/account", account, wording.ACCOUNT, [AccountState.load, ProgressState.watch], [ProgressState.watch]
    ),
    Page(
        "/share/[video_id]",
        share_page,
        "Shared video",
        [SharePageState.open],
        description="A video that was shared with you.",
    ),
    Page(
        "/admin",
        admin.videos,
        wording.VIDEOS,
        [AdminVideosState.load, ProgressState.watch],
        [AdminVideosState.refresh, ProgressState.watch],
    ),
    Page(
        "/admin/people",
        admin.users,
        wording.PEOPLE,
        [AdminUsersState.load, ProgressState.watch],
        [AdminUsersState.refresh, ProgressState.watch],
    ),
    Page(
        "/admin/avatars",
        admin.avatars,
        wording.AVATARS,
        [AdminAvatarsState.load, ProgressState.watch],
        [AdminAvatarsState.refresh, ProgressState.watch],
    ),
    Page(
        "/admin/activity",
        admin.activity,
        wording.ACTIVITY,
        [AdminActivityState.load, ProgressState.watch],
        [ProgressState.watch],
    ),
    Page(
        "/admin/system",
        admin.system,
        wording.SYSTEM,
        [
            AdminSystemState.load,
            AdminWebhookLogState.load,
            AdminMismatchesState.cancel,
            AdminTestOrderState.load,
            AdminSystemState.run,
            AdminSystemState.ask_browser,
            ProgressState.watch,
        ],
        [AdminWebhookLogState.refresh, ProgressState.watch],
    ),
    Page("/problem", problem, wording.SOMETHING_WENT_WRONG, [ProblemState.explain]),
    Page("404", not_found, wording.PAGE_NOT_FOUND),
)
