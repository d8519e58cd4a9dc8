"""The table of routes: every page of the product, its address, and what happens when it is opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx

from videovault.pages import admin
from videovault.pages.account import login, register
from videovault.pages.create import create
from videovault.pages.gallery import gallery
from videovault.pages.home import home
from videovault.pages.not_found import not_found
from videovault.pages.password import forgot, reset
from videovault.pages.profile import profile
from videovault.pages.share import share
from videovault.state.account import AccountState
from videovault.state.admin_activity import AdminActivityState
from videovault.state.admin_inbox import AdminInboxState
from videovault.state.admin_people import AdminPeopleState
from videovault.state.admin_system import AdminSystemState
from videovault.state.admin_videos import AdminVideosState
from videovault.state.gallery import GalleryState
from videovault.state.profile import ProfileState
from videovault.state.session import SessionState
from videovault.state.share import ShareState
from videovault.state.studio import StudioState
from videovault.state.work import WorkState


@dataclass(frozen=True)
class Page:
    route: str
    component: Callable[[], rx.Component]
    title: str
    on_load: Sequence[Any] = ()
    description: str = "Make short avatar videos and keep them safe in your own storage."


PAGES = (
    Page("/", home, "VideoVault", [SessionState.go_home]),
    Page("/login", login, "Sign in | VideoVault", [AccountState.enter]),
    Page("/register", register, "Create account | VideoVault", [AccountState.enter]),
    Page("/forgot", forgot, "Forgot your password? | VideoVault", [AccountState.recover]),
    Page("/reset", reset, "New password | VideoVault", [AccountState.recover]),
    Page("/create", create, "New video | VideoVault", [StudioState.enter, WorkState.watch]),
    Page(
        "/gallery",
        gallery,
        "Gallery | VideoVault",
        [GalleryState.load, StudioState.enter, WorkState.watch],
    ),
    Page("/account", profile, "Account | VideoVault", [ProfileState.load, WorkState.watch]),
    Page(
        "/share/[video_id]",
        share,
        "Shared video | VideoVault",
        [ShareState.open],
        "A video for you to watch.",
    ),
    Page("/admin", admin.videos, "All videos | VideoVault", [AdminVideosState.load, WorkState.watch]),
    Page("/admin/people", admin.people, "People | VideoVault", [AdminPeopleState.load, WorkState.watch]),
    Page(
        "/admin/activity", admin.activity, "Activity | VideoVault", [AdminActivityState.load, WorkState.watch]
    ),
    Page(
        "/admin/system",
        admin.system,
        "System | VideoVault",
        [
            AdminSystemState.load,
            AdminInboxState.load,
            AdminSystemState.run,
            AdminSystemState.ask_browser,
            WorkState.watch,
        ],
    ),
    Page("404", not_found, "Not found | VideoVault"),
)
