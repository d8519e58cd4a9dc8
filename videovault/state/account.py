"""The account page: who somebody is here, where they are signed in, and their API tokens."""

from collections.abc import Mapping
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from videovault.errors import Busy, DiskFull, InvalidInput
from videovault.services.accounts import accounts, passwords, sessions
from videovault.services.accounts import tokens as accounts_tokens
from videovault.services.accounts.views import SessionView, TokenView
from videovault.services.core.access import Caller
from videovault.services.core.views import UserView, iso_utc
from videovault.services.videos import gallery as videos_gallery
from videovault.services.videos.gallery import GalleryQuery
from videovault.state import wording
from videovault.state.background import run_in_db_pool
from videovault.state.session import SessionState, signed_in
from videovault.state.view_models import ViewModel

# Which browser on which system a person signed in with, as far as its own name for itself tells.

# In this order: nearly every browser also names those it wants to be taken for.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "Linux": "Linux",
}


def device(user_agent: str) -> str:
    """``Firefox on Windows``; a program by its own name."""
    browser, system = _named(BROWSERS, user_agent), _named(SYSTEMS, user_agent)
    if browser and system:
        return f"{browser} on {system}"
    program = user_agent.partition("/")[0].strip()[:40]
    return browser or system or program or "Unknown device"


def _named(names: dict[str, str], user_agent: str) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")


DONE = {"password": "Your password is changed, and you are signed out everywhere else."}
SLOW = "That was tried too often. Please try again in some minutes."
# What the native forms of this page come back with, and beside which field it stands.
FIELD_PROBLEMS = {
    "no-password": ("currentPassword", passwords.MISSING),
    "wrong": ("currentPassword", passwords.WRONG),
    "password": ("newPassword", wording.PASSWORD_LENGTH),
    "controls": ("newPassword", passwords.CONTROLS),
    "common": ("newPassword", passwords.TOO_COMMON),
    "slow": ("currentPassword", SLOW),
    "busy": ("currentPassword", Busy().public_message),
    "full": ("currentPassword", DiskFull().public_message),
    "closing-no-password": ("password", passwords.MISSING),
    "closing-wrong": ("password", passwords.WRONG),
    "closing-only-admin": ("password", accounts.LAST_ADMIN),
    "closing-slow": ("password", SLOW),
    "closing-busy": ("password", Busy().public_message),
    "closing-full": ("password", DiskFull().public_message),
}
TOKEN_FIELDS = {"name": "tokenName", "expiresInDays": "days"}
# The headings that take the focus when a line below them goes.
DEVICES, TOKENS = "devices", "tokens"
SHOWN_DEVICES = 5
GOOD_FOR = ("30", "90", "365", "")


class Device(ViewModel):
    session_id: str
    name: str
    seen_at: str
    is_current: bool

    @classmethod
    def of(cls, view: SessionView) -> "Device":
        return cls(
            session_id=view.session_id,
            name=device(view.user_agent),
            seen_at=iso_utc(view.last_seen_at),
            is_current=view.is_current,
        )


class ApiToken(ViewModel):
    """``expires_at`` and ``used_at`` are empty for never."""

    token_id: str
    name: str
    may: str
    expires_at: str
    used_at: str

    @classmethod
    def of(cls, view: TokenView) -> "ApiToken":
        return cls(
            token_id=view.token_id,
            name=view.name,
            may="It only reads." if view.scope == "read" else "It reads and writes.",
            expires_at=iso_utc(view.expires_at) if view.expires_at else "",
            used_at=iso_utc(view.last_used_at) if view.last_used_at else "",
        )


class AccountState(SessionState):
    name: str = ""
    storage: str = ""
    percent: int = 0
    videos_and_storage: str = ""
    devices: list[Device] = []
    more_devices: list[Device] = []  # beyond those of which a person has an idea
    tokens: list[ApiToken] = []
    fresh_token: str = ""  # the one secret that a page ever shows: once, to who has just made it

    @signed_in
    async def load(self, caller: Caller) -> EventSpec | None:
        """Read everything, and what a native form of this page came back with."""
        self.fresh_token = ""
        user = await run_in_db_pool(accounts.me, caller)
        self._show(user)
        gallery = await run_in_db_pool(
            videos_gallery.list_videos, caller, caller.user_id, GalleryQuery(limit=1), links=False
        )
        self.videos_and_storage = f"{wording.videos(gallery.total_count)}, {wording.size(user.storage_bytes)}"
        await self._read(caller)
        given = self.router.url.query_parameters
        return self._came_back(given.get("error", ""), given.get("done", ""))

    @signed_in
    async def rename(self, caller: Caller, form: dict[str, Any]) -> None:
        self.errors = {}
        self._show(await run_in_db_pool(accounts.rename, caller, str(form.get("name", ""))))
        self._say("Your name is saved.")

    @signed_in
    async def sign_out(self, caller: Caller, session_id: str) -> EventSpec:
        """End the session of another device."""
        await run_in_db_pool(sessions.end, caller, session_id)
        await self._read(caller)
        self._say("That device is signed out.")
        return rx.set_focus(DEVICES)

    @signed_in
    async def make_token(self, caller: Caller, form: dict[str, Any]) -> EventSpec | None:
        if self.fresh_token:  # a second click must not put a token away that nobody has copied yet
            return None
        self.errors = {}
        wanted = _wanted(form)
        try:
            made = await run_in_db_pool(accounts_tokens.create, caller, *wanted)
        except InvalidInput as error:
            fields = {TOKEN_FIELDS[name]: text for name, text in error.fields.items()}
            return self._tell(InvalidInput(error.public_message, fields), "")
        self.fresh_token = made.token
        await self._read(caller)
        return rx.set_focus("fresh-token")

    @signed_in
    async def hide(self, caller: Caller) -> EventSpec:  # noqa: ARG002 - every handler asks who calls
        """The token has been copied; what had the focus is gone with it."""
        self.fresh_token = ""
        return rx.set_focus(TOKENS)

    @signed_in
    async def revoke(self, caller: Caller, token_id: str) -> EventSpec:
        await run_in_db_pool(accounts_tokens.revoke, caller, token_id)
        await self._read(caller)
        self._say("The token is revoked. Programs that use it are refused from now on.")
        return rx.set_focus(TOKENS)

    def _came_back(self, error: str, done: str) -> EventSpec | None:
        """Say how a native form of this page went; the field to mend may be far down, so it gets the focus."""
        self.errors = dict(FIELD_PROBLEMS[code] for code in error.split(",") if code in FIELD_PROBLEMS)
        if self.errors:
            return rx.set_focus(next(iter(self.errors)))
        if error:
            self._say("That did not work. Please try again.", bad=True)
        elif done in DONE:
            self._say(DONE[done])
        return None

    def _show(self, user: UserView) -> None:
        self.name = user.name
        used, quota = user.storage_bytes, user.quota_bytes
        self.storage = (
            f"{wording.size(used)} of {wording.size(quota)} used" if quota else f"{wording.size(used)} used"
        )
        self.percent = min(100, used * 100 // quota) if quota else -1

    async def _read(self, caller: Caller) -> None:
        listing = await run_in_db_pool(sessions.list_sessions, caller)
        devices = sorted(map(Device.of, listing), key=lambda device: not device.is_current)
        self.devices, self.more_devices = devices[:SHOWN_DEVICES], devices[SHOWN_DEVICES:]
        self.tokens = [
            ApiToken.of(view) for view in await run_in_db_pool(accounts_tokens.list_tokens, caller)
        ]


def _wanted(form: Mapping[str, Any]) -> tuple[str, Any, int | None]:
    """Name, scope and days; whatever a browser sends that the form does not offer counts as the narrowest."""
    days = str(form.get("days", GOOD_FOR[0]))
    good_for = days if days in GOOD_FOR else GOOD_FOR[0]
    scope = "write" if form.get("scope") == "write" else "read"
    return str(form.get("tokenName", "")), scope, int(good_for) if good_for else None
