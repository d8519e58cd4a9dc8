"""The admin's list of users, and the dialogs that change an account or invite someone."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, cast

from videovault.config import settings
from videovault.errors import InvalidInput
from videovault.formatting import format_size
from videovault.services.accounts import accounts, passwords
from videovault.services.admin import users
from videovault.services.admin.users import AdminUserView, UserChange
from videovault.services.core.access import Caller
from videovault.services.core.views import LinkView, iso_utc
from videovault.state import tables, wording
from videovault.state.background import run_in_db_pool
from videovault.state.session import AdminState, signed_in
from videovault.state.tables import SortedTable
from videovault.state.view_models import ViewModel, percent_of

DEFAULT_SORT = "created"
# The changes that are confirmed first.
CHANGES: dict[str, UserChange] = {
    "admin": {"is_admin": True},
    "no-admin": {"is_admin": False},
    "active": {"is_active": True},
    "inactive": {"is_active": False},
}
END_SESSIONS = "sessions"
DONE = {
    END_SESSIONS: "Signed out everywhere. Their API tokens still work.",
    "admin": "Now an admin. Their sessions have ended, so they sign in again.",
    "no-admin": "No longer an admin. Their sessions have ended.",
    "active": "The account is active again.",
    "inactive": "The account is deactivated, and all its sessions have ended.",
}
GB = 1000**3
NOT_A_SIZE = "Enter a number of GB above 0, such as 50 or 0.5."
MAX_GB = 1_000_000


class UserRow(ViewModel):
    """``quota`` is in GB and ``quota_kind`` one of the form's choices; ``activity`` is a link to the user's activity."""

    user_id: str = ""
    email: str = ""
    name: str = ""
    is_admin: bool = False
    is_active: bool = True
    videos: str = ""
    storage: str = ""
    percent: int = -1
    quota_kind: str = "default"
    quota: str = ""
    seen_at: str = ""
    activity: str = ""

    @classmethod
    def of(cls, view: AdminUserView) -> "UserRow":
        used, quota = view.storage_bytes, view.quota_bytes
        kind = "default" if not view.has_own_quota else "own" if quota else "none"
        return cls(
            user_id=view.user_id,
            email=view.email,
            name=view.name,
            is_admin=view.is_admin,
            is_active=view.is_active,
            videos=wording.videos(view.video_count),
            storage=f"{format_size(used)} of {format_size(quota)}" if quota else format_size(used),
            percent=percent_of(used, quota),
            quota_kind=kind,
            quota=f"{quota / GB:g}" if kind == "own" else "",
            seen_at=iso_utc(view.last_seen_at) if view.last_seen_at else "",
            activity=f"/admin/activity?{tables.query_string(person=view.email)}",
        )


class AdminUsersState(SortedTable, AdminState):
    """``address`` is the query of what is shown."""

    COLUMNS: ClassVar[Collection[str]] = tuple(users.SORTED_BY)
    DESCENDING_FIRST: ClassVar[Collection[str]] = ("seen", "storage")

    users: list[UserRow] = []
    total: str = ""
    address: str = ""

    user: UserRow = UserRow()
    confirming: str = ""  # a key of DONE
    quota_kind: str = ""
    is_inviting: bool = False
    invites: bool = True
    default_quota: str = ""
    link: str = ""  # works like a password, so it is kept only while its dialog is open
    link_until: str = ""
    form_number: int = 0

    @signed_in
    async def load(self, caller: Caller) -> None:
        if not self._admit(caller):
            return
        query = self.router.url.query_parameters
        self.filters_number += self.q != query.get("q", "")
        self.q = query.get("q", "")
        self._sort_from(query, DEFAULT_SORT)
        self._cursors, self.invites = [], settings().signup != "closed"
        quota = settings().default_quota_bytes
        self.default_quota = format_size(quota) if quota else "no limit"
        self.confirming = ""
        await self._read(caller)

    @signed_in
    async def open(self, caller: Caller, user_id: str) -> None:
        """Open the dialog of an account."""
        self._show(UserRow.of(await run_in_db_pool(users.get_user, caller, user_id)))

    @signed_in
    async def close(self) -> None:
        self._show(UserRow())
        self.is_inviting = False

    @signed_in
    async def ask(self, what: str) -> None:
        """Open the confirmation."""
        self.confirming = what if what in DONE else ""

    @signed_in
    async def cancel(self) -> None:
        self.confirming = ""

    @signed_in(beside="user")
    async def change(self, caller: Caller) -> None:
        """Carry out the confirmed change."""
        what, self.confirming, self.errors = self.confirming, "", {}
        if what in CHANGES:
            await self._change(caller, CHANGES[what], DONE[what])
        elif what == END_SESSIONS:
            await run_in_db_pool(users.end_sessions, caller, self.user.user_id)
            self._notify(DONE[what])

    @signed_in
    async def choose_quota(self, kind: str) -> None:
        self.quota_kind = kind

    @signed_in(beside="user")
    async def set_quota(self, caller: Caller, form: dict[str, Any]) -> None:
        self.errors = {}
        await self._change(caller, {"quota_bytes": _quota(form)}, "The quota is saved.")

    @signed_in(beside="user")
    async def create_reset_link(self, caller: Caller) -> None:
        self.errors = {}
        self._show_link(await run_in_db_pool(passwords.reset_link_for_admin, caller, self.user.user_id))

    @signed_in
    async def open_invitation(self) -> None:
        self._show(UserRow())
        self.is_inviting = True

    @signed_in(beside="invitation")
    async def invite(self, caller: Caller, form: dict[str, Any]) -> None:
        self.errors = {}
        self._show_link(await run_in_db_pool(accounts.invite, caller, str(form.get("email", ""))))

    async def _change(self, caller: Caller, change: UserChange, done: str) -> None:
        self._show(UserRow.of(await run_in_db_pool(users.change_user, caller, self.user.user_id, change)))
        self._notify(done)
        if self.user.user_id != caller.user_id:  # else this session may have ended
            await self._read(caller)

    def _show(self, user: UserRow) -> None:
        self.user, self.quota_kind, self.confirming, self.errors = user, user.quota_kind, "", {}
        self.link, self.link_until = "", ""
        self.form_number += 1

    def _show_link(self, link: LinkView) -> None:
        self.link, self.link_until = link.url, iso_utc(link.expires_at)

    async def _read(self, caller: Caller) -> None:
        found = await run_in_db_pool(
            users.find_users,
            caller,
            q=self.q,
            sort=cast("users.Column", self.sort),
            descending=self.is_descending,
            limit=tables.PAGE,
            cursor=self._cursor,
        )
        self.users = [UserRow.of(view) for view in found.people]
        self.total = wording.accounts(found.total_count)
        self._show_page(len(self.users), f"{found.total_count:,}", found.next_cursor)
        self.address = tables.query_string(q=self.q, **self._sort_query(DEFAULT_SORT))


def _quota(form: Mapping[str, Any]) -> int | None:
    """Bytes, None for the installation's default, 0 for no limit. Raises InvalidInput."""
    kind = form.get("quotaKind")
    if kind != "own":
        return 0 if kind == "none" else None
    typed = str(form.get("quota", "")).strip().replace(",", ".")
    try:
        size = float(typed)
    except ValueError:
        size = 0
    if not 0 < size <= MAX_GB:
        raise InvalidInput(NOT_A_SIZE, {"quota": NOT_A_SIZE})
    return max(1, round(size * GB))
