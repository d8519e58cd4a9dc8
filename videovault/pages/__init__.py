"""The table of routes: every page of the product, its address, and what happens when it is opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx

from videovault.pages import admin
from videovault.pages.account import profile
from videovault.pages.create import create
from videovault.pages.gallery import gallery
from videovault.pages.home import home
from videovault.pages.problem import not_found, problem
from videovault.pages.share_page import share
from videovault.pages.sign_in import forgot, login, register, reset
from videovault.state import wording
from videovault.state.account import ProfileState
from videovault.state.admin.activity import AdminActivityState
from videovault.state.admin.avatars import AdminAvatarsState
from videovault.state.admin.base import AdminState
from videovault.state.admin.mismatches import AdminOrphansState
from videovault.state.admin.system import AdminSystemState
from videovault.state.admin.test_order import AdminTestOrderState
from videovault.state.admin.users import AdminPeopleState
from videovault.state.admin.videos import AdminVideosState
from videovault.state.admin.webhook_log import AdminInboxState
from videovault.state.create import StudioState
from videovault.state.gallery import GalleryState
from videovault.state.gallery_selection import RemovalState
from videovault.state.live_updates import WorkState
from videovault.state.problem import ProblemState
from videovault.state.session import SessionState
from videovault.state.share_dialog import SharingState
from videovault.state.share_page import ShareState
from videovault.state.sign_in import AccountState

PRODUCT = "VideoVault"
NOT_FOUND = "Not found"


@dataclass(frozen=True)
class Page:
    """``name`` is what the browser's tab says of it, beside the product's own."""

    route: str
    component: Callable[[], rx.Component]
    name: str
    on_load: Sequence[Any] = ()
    description: str = "Make short avatar videos and keep them safe in your own storage."

    @property
    def title(self) -> Any:
        """For the tab; the admin's pages are called as any unknown one to everybody else."""
        title = f"{self.name} · {PRODUCT}" if self.name else PRODUCT
        if not self.route.startswith("/admin"):
            return title
        return rx.match(AdminState.access, ("yes", title), ("no", f"{NOT_FOUND} · {PRODUCT}"), PRODUCT)


PAGES = (
    Page("/", home, "", [SessionState.go_home]),
    Page("/login", login, wording.SIGN_IN, [AccountState.enter]),
    Page("/register", register, wording.CREATE_ACCOUNT, [AccountState.join]),
    Page("/forgot", forgot, wording.FORGOT_PASSWORD, [AccountState.recover]),
    Page("/reset", reset, wording.NEW_PASSWORD, [AccountState.recover]),
    Page("/create", create, wording.NEW_VIDEO, [StudioState.enter, SharingState.spare, WorkState.watch]),
    Page(
        "/gallery",
        gallery,
        wording.GALLERY,
        [GalleryState.load, StudioState.enter, RemovalState.spare, SharingState.spare, WorkState.watch],
    ),
    Page("/account", profile, wording.ACCOUNT, [ProfileState.load, WorkState.watch]),
    Page(
        "/share/[video_id]",
        share,
        "Shared video",
        [ShareState.open],
        "A video for you to watch.",
    ),
    Page("/admin", admin.videos, wording.VIDEOS, [AdminVideosState.load, WorkState.watch]),
    Page("/admin/people", admin.people, wording.PEOPLE, [AdminPeopleState.load, WorkState.watch]),
    Page("/admin/avatars", admin.avatars, wording.AVATARS, [AdminAvatarsState.load, WorkState.watch]),
    Page("/admin/activity", admin.activity, wording.ACTIVITY, [AdminActivityState.load, WorkState.watch]),
    Page(
        "/admin/system",
        admin.system,
        wording.SYSTEM,
        [
            AdminSystemState.load,
            AdminInboxState.load,
            AdminOrphansState.spare,
            AdminTestOrderState.load,
            AdminSystemState.run,
            AdminSystemState.ask_browser,
            WorkState.watch,
        ],
    ),
    Page("/problem", problem, "Problem", [ProblemState.tell]),
    Page("404", not_found, NOT_FOUND),
)
