"""The account page: name, storage, signed-in devices and API tokens."""

from collections.abc import Mapping
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from videovault.errors import Busy, DiskFull, InvalidInput
from videovault.formatting import format_size
from videovault.services.accounts import accounts, passwords, sessions
from videovault.services.accounts import tokens as api_tokens
from videovault.services.accounts.sessions import SessionView
from videovault.services.accounts.tokens import TokenView
from videovault.services.core.access import Caller
from videovault.services.core.views import UserView, iso_utc
from videovault.services.videos import gallery
from videovault.services.videos.gallery import GalleryQuery
from videovault.state import wording
from videovault.state.background import run_in_db_pool
from videovault.state.session import SessionState, signed_in
from videovault.state.view_models import ViewModel, percent_of

# Marks in a User-Agent, in this order: most browsers also name the ones they claim to be compatible with.
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
DONE = {"password": "Your password is changed, and you are signed out everywhere else."}
TOO_MANY_ATTEMPTS = "Too many attempts. Try again in a few minutes."
# Error codes of the native forms of this page, with the field they belong to. Both forms ask for the password.
PASSWORD_PROBLEMS = {
    "no-password": passwords.MISSING,
    "wrong": passwords.WRONG,
    "slow": TOO_MANY_ATTEMPTS,
    "busy": Busy().public_message,
    "full": DiskFull().public_message,
}
FIELD_PROBLEMS = {
    **{code: ("currentPassword", text) for code, text in PASSWORD_PROBLEMS.items()},
    **{f"closing-{code}": ("password", text) for code, text in PASSWORD_PROBLEMS.items()},
    "password": ("newPassword", passwords.WRONG_LENGTH),
    "controls": ("newPassword", passwords.CONTROLS),
    "common": ("newPassword", passwords.TOO_COMMON),
    "closing-only-admin": ("password", accounts.LAST_ADMIN),
}
TOKEN_FIELDS = {"name": "tokenName", "expiresInDays": "days"}
# The headings that take the focus when a line below them is removed.
DEVICES, TOKENS = "devices", "tokens"
MAX_SHOWN_DEVICES = 5
EXPIRY_DAYS = ("30", "90", "365", "")


class Device(ViewModel):
    session_id: str
    name: str
    seen_at: str
    is_current: bool

    @classmethod
    def of(cls, view: SessionView) -> "Device":
        return cls(
            session_id=view.session_id,
            name=device_name(view.user_agent),
            seen_at=iso_utc(view.last_seen_at),
            is_current=view.is_current,
        )


class ApiToken(ViewModel):
    """``expires_at`` and ``used_at`` are empty for never."""

    token_id: str
    name: str
    scope: str
    expires_at: str
    used_at: str

    @classmethod
    def of(cls, view: TokenView) -> "ApiToken":
        return cls(
            token_id=view.token_id,
            name=view.name,
            scope="Read only." if view.scope == "read" else "Read and write.",
            expires_at=iso_utc(view.expires_at) if view.expires_at else "",
            used_at=iso_utc(view.last_used_at) if view.last_used_at else "",
        )


class AccountState(SessionState):
    name: str = ""
    storage: str = ""
    percent: int = 0
    videos_and_storage: str = ""
    devices: list[Device] = []
    more_devices: list[Device] = []  # folded away
    tokens: list[ApiToken] = []
    fresh_token: str = ""  # shown once, to the user who has just created it

    @signed_in
    async def load(self, caller: Caller) -> EventSpec | None:
        """Read everything, and show the result of a native form of this page."""
        self.fresh_token = ""
        user = await run_in_db_pool(accounts.me, caller)
        self._show(user)
        shown = await run_in_db_pool(
            gallery.list_videos, caller, caller.user_id, GalleryQuery(limit=1), links=False
        )
        self.videos_and_storage = f"{wording.videos(shown.total_count)}, {format_size(user.storage_bytes)}"
        await self._read(caller)
        query = self.router.url.query_parameters
        return self._show_result(query.get("error", ""), query.get("done", ""))

    @signed_in
    async def rename(self, caller: Caller, form: dict[str, Any]) -> None:
        self.errors = {}
        self._show(await run_in_db_pool(accounts.rename, caller, str(form.get("name", ""))))
        self._notify("Your name is saved.")

    @signed_in
    async def sign_out(self, caller: Caller, session_id: str) -> EventSpec:
        """End the session of another device."""
        await run_in_db_pool(sessions.end, caller, session_id)
        await self._read(caller)
        self._notify("That device is signed out.")
        return rx.set_focus(DEVICES)

    @signed_in
    async def create_token(self, caller: Caller, form: dict[str, Any]) -> EventSpec | None:
        if self.fresh_token:  # a second click must not replace a token that has not been copied yet
            return None
        self.errors = {}
        values = _token_values(form)
        try:
            created = await run_in_db_pool(api_tokens.create, caller, *values)
        except InvalidInput as error:
            fields = {TOKEN_FIELDS[name]: text for name, text in error.fields.items()}
            return self._show_error(InvalidInput(error.public_message, fields), "")
        self.fresh_token = created.token
        await self._read(caller)
        return rx.set_focus("fresh-token")

    @signed_in
    async def hide_token(self) -> EventSpec:
        """The token has been copied. Its button had the focus, which moves to the heading."""
        self.fresh_token = ""
        return rx.set_focus(TOKENS)

    @signed_in
    async def revoke(self, caller: Caller, token_id: str) -> EventSpec:
        await run_in_db_pool(api_tokens.revoke, caller, token_id)
        await self._read(caller)
        self._notify("The token is revoked. Programs that use it are refused from now on.")
        return rx.set_focus(TOKENS)

    def _show_result(self, error: str, done: str) -> EventSpec | None:
        """Show how a native form of this page went. The first wrong field may be far down, so it gets the focus."""
        focus = self._show_problems(error, FIELD_PROBLEMS)
        if error and not focus:
            self._notify("Something went wrong. Please try again.", is_error=True)
        elif done in DONE and not focus:
            self._notify(DONE[done])
        return focus

    def _show(self, user: UserView) -> None:
        self.name = user.name
        used, quota = user.storage_bytes, user.quota_bytes
        self.storage = (
            f"{format_size(used)} of {format_size(quota)} used" if quota else f"{format_size(used)} used"
        )
        self.percent = percent_of(used, quota)

    async def _read(self, caller: Caller) -> None:
        listing = await run_in_db_pool(sessions.list_sessions, caller)
        devices = sorted(map(Device.of, listing), key=lambda device: not device.is_current)
        self.devices, self.more_devices = devices[:MAX_SHOWN_DEVICES], devices[MAX_SHOWN_DEVICES:]
        self.tokens = [ApiToken.of(view) for view in await run_in_db_pool(api_tokens.list_tokens, caller)]


def _token_values(form: Mapping[str, Any]) -> tuple[str, Any, int | None]:
    """Name, scope and days; a value that the form does not offer counts as the narrowest."""
    days = str(form.get("days", EXPIRY_DAYS[0]))
    expiry = days if days in EXPIRY_DAYS else EXPIRY_DAYS[0]
    scope = "write" if form.get("scope") == "write" else "read"
    return str(form.get("tokenName", "")), scope, int(expiry) if expiry else None


def device_name(user_agent: str) -> str:
    """The browser and system in a User-Agent, such as ``Firefox on Windows``; a program by its own name."""
    browser, system = _find(BROWSERS, user_agent), _find(SYSTEMS, user_agent)
    if browser and system:
        return f"{browser} on {system}"
    program = user_agent.partition("/")[0].strip()[:40]
    return browser or system or program or "Unknown device"


def _find(names: dict[str, str], user_agent: str) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")
