"""The admin's list of people, and the dialogs in which an account is changed and somebody is invited."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, cast

from videovault.config import settings
from videovault.errors import InvalidInput
from videovault.services.accounts import invitations, password_reset
from videovault.services.accounts.views import LinkView
from videovault.services.admin import users
from videovault.services.admin.users import UserChange
from videovault.services.core.access import Caller
from videovault.services.core.views import iso_utc
from videovault.state import tables, wording
from videovault.state.admin.base import AdminState
from videovault.state.admin.view_models import UserRow
from videovault.state.background import run_in_db_pool
from videovault.state.session import signed_in
from videovault.state.tables import SortedTable

USUAL = "created"
# What can be asked about before it is done, and what it changes.
CHANGES: dict[str, UserChange] = {
    "admin": {"is_admin": True},
    "no-admin": {"is_admin": False},
    "active": {"is_active": True},
    "inactive": {"is_active": False},
}
END_SESSIONS = "sessions"
DONE = {
    END_SESSIONS: "They are signed out everywhere. Their API tokens still work.",
    "admin": "Now an admin. Their sessions have ended, so they sign in again.",
    "no-admin": "No longer an admin. Their sessions have ended.",
    "active": "The account can be used again.",
    "inactive": "The account is closed to its owner, and every session of it has ended.",
}
NOT_A_SIZE = "Enter a number of GB above 0, such as 50 or 0.5."
MOST_GB = 1_000_000


class AdminUsersState(SortedTable, AdminState):
    """``address`` is the query that asks for what is shown."""

    COLUMNS: ClassVar[Collection[str]] = tuple(users.SORTED_BY)
    DESCENDING_FIRST: ClassVar[Collection[str]] = ("seen", "storage")

    people: list[UserRow] = []
    total: str = ""
    address: str = ""
    q: str = ""

    person: UserRow = UserRow()
    asking: str = ""
    quota_kind: str = ""
    is_inviting: bool = False
    invites: bool = True
    default_quota: str = ""
    link: str = ""  # as good as a password: here only while its dialog is open
    link_until: str = ""
    form_number: int = 0

    @signed_in
    async def load(self, caller: Caller) -> None:
        if not self._admit(caller):
            return
        asked = self.router.url.query_parameters
        self.searches += self.q != asked.get("q", "")
        self.q = asked.get("q", "")
        self._sort_as(asked, USUAL)
        self._offset, self.invites = 0, settings().signup != "closed"
        quota = settings().default_quota_bytes
        self.default_quota = wording.size(quota) if quota else "no limit"
        self.asking = ""  # a question does not outlive its page
        await self._read(caller)

    @signed_in
    async def search(self, caller: Caller, q: str) -> None:
        self.q = q
        await self._read_anew(caller)

    @signed_in
    async def open(self, caller: Caller, user_id: str) -> None:
        """Show what can be done with an account."""
        self._show(UserRow.of(await run_in_db_pool(users.get_user, caller, user_id)))

    @signed_in
    async def close(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        self._show(UserRow())
        self.is_inviting = False

    @signed_in
    async def ask(self, caller: Caller, what: str) -> None:  # noqa: ARG002 - as above
        """Ask whether this is really to be done."""
        self.asking = what if what in DONE else ""

    @signed_in
    async def cancel(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.asking = ""

    @signed_in(beside="person")
    async def change(self, caller: Caller) -> None:
        """Do what was asked about."""
        what, self.asking, self.errors = self.asking, "", {}
        if what in CHANGES:
            await self._change(caller, CHANGES[what], DONE[what])
        elif what == END_SESSIONS:
            await run_in_db_pool(users.end_sessions, caller, self.person.user_id)
            self._say(DONE[what])

    @signed_in
    async def choose_quota(self, caller: Caller, kind: str) -> None:  # noqa: ARG002 - as above
        self.quota_kind = kind

    @signed_in(beside="person")
    async def set_quota(self, caller: Caller, form: dict[str, Any]) -> None:
        self.errors = {}
        await self._change(caller, {"quota_bytes": _quota(form)}, "The quota is saved.")

    @signed_in(beside="person")
    async def make_reset_link(self, caller: Caller) -> None:
        self.errors = {}
        self._show_link(
            await run_in_db_pool(password_reset.reset_link_for_admin, caller, self.person.user_id)
        )

    @signed_in
    async def begin_invitation(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self._show(UserRow())
        self.is_inviting = True

    @signed_in(beside="invitation")
    async def invite(self, caller: Caller, form: dict[str, Any]) -> None:
        self.errors = {}
        self._show_link(await run_in_db_pool(invitations.invite, caller, str(form.get("email", ""))))

    async def _change(self, caller: Caller, wanted: UserChange, done: str) -> None:
        self._show(UserRow.of(await run_in_db_pool(users.change_user, caller, self.person.user_id, wanted)))
        self._say(done)
        if self.person.user_id != caller.user_id:  # else this very session may have ended with it
            await self._read(caller)

    def _show(self, person: UserRow) -> None:
        self.person, self.quota_kind, self.asking, self.errors = person, person.quota_kind, "", {}
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
            offset=self._offset,
            limit=tables.PAGE,
        )
        self.people = [UserRow.of(view) for view in found.people]
        self.total = wording.accounts(found.total_count)
        self._turned(len(self.people), found.total_count)
        self.address = tables.query_string(q=self.q, **self._order(USUAL))


def _quota(form: Mapping[str, Any]) -> int | None:
    """Bytes, None for the installation's own quota, 0 for none. Raises InvalidInput."""
    kind = form.get("quotaKind")
    if kind != "own":
        return 0 if kind == "none" else None
    typed = str(form.get("quota", "")).strip().replace(",", ".")
    try:
        size = float(typed)
    except ValueError:
        size = 0
    if not 0 < size <= MOST_GB:
        raise InvalidInput(NOT_A_SIZE, {"quota": NOT_A_SIZE})
    return max(1, round(size * wording.GB))
