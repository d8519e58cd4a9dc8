"""User accounts, for admins: list, rights and quotas."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from videovault.db import advisory_lock, reading, transaction
from videovault.errors import InvalidInput, UserNotFound
from videovault.models import Counter, Event, User
from videovault.services.accounts import accounts, sessions
from videovault.services.core import cursors, quota
from videovault.services.core.access import Caller, check_admin, check_not_api_token, recheck_admin
from videovault.services.core.views import Timestamp, View

Column = Literal["created", "email", "seen", "storage"]
MAX_PAGE = 200
MAX_COUNTED = 10_000  # matches of a search
SORTED_BY: Mapping[Column, Any] = {
    "created": col(User.created_at),
    "email": col(User.email),
    "seen": func.coalesce(col(User.last_seen_at), col(User.created_at)),
    "storage": quota.USED_BYTES,
}
# The unique column beside each key: in the index of the key, so that no list has to be sorted.
TIE_BREAKERS: Mapping[Column, Any] = {
    "created": col(User.id),
    "email": col(User.email),
    "seen": col(User.id),
    "storage": col(Counter.scope),
}


class AdminUserView(View):
    """An account as an admin sees it; sizes in bytes, a quota of 0 means unlimited."""

    user_id: str
    email: str
    name: str
    is_admin: bool
    is_active: bool
    created_at: Timestamp
    last_seen_at: Timestamp | None = None
    video_count: int
    storage_bytes: int
    quota_bytes: int
    has_own_quota: bool


class UsersView(View):
    """One page of accounts, and the number of all, of which a search counts at most ``MAX_COUNTED``."""

    people: list[AdminUserView]
    total_count: int
    next_cursor: str | None = None


class UserChange(TypedDict, total=False):
    """What an admin may set; ``quota_bytes`` None: the installation's default, 0: unlimited."""

    is_admin: bool
    is_active: bool
    quota_bytes: int | None


def find_users(
    caller: Caller,
    *,
    q: str = "",
    sort: Column = "created",
    descending: bool = False,
    limit: int = MAX_PAGE,
    cursor: str = "",
) -> UsersView:
    """One page of the accounts with ``q`` in e-mail address or name. Raises Forbidden for non-admins, InvalidInput."""
    check_admin(caller)
    name = f"users-{sort}-{'down' if descending else 'up'}"
    columns = dict.fromkeys((SORTED_BY[sort], TIE_BREAKERS[sort]))  # one column if they are the same
    order = [column.desc() if descending else column for column in columns]
    keys = [key.label(f"key_{number}") for number, key in enumerate(columns)]
    wanted = _conditions(q)
    page = select(User, Counter, *keys).join(Counter, col(Counter.scope) == col(User.id)).where(*wanted)
    if cursor:
        page = page.where(cursors.after(order, cursors.decode(cursor, name)))
    with reading() as session:
        found = session.execute(page.order_by(*order).limit(limit + 1)).all()
        count = _count(session, q)
    shown = found[:limit]
    return UsersView(
        people=[_view(user, quota.counts_of_row(counter)) for user, counter, *_ in shown],
        total_count=count,
        next_cursor=cursors.encode(name, list(shown[-1][2:])) if len(found) > limit else None,
    )


def get_user(caller: Caller, user_id: str) -> AdminUserView:
    """One account. Raises Forbidden for non-admins, UserNotFound."""
    check_admin(caller)
    with reading() as session:
        user = session.get(User, user_id)
        if user is None or user.closed_at:
            raise UserNotFound
        return _view(user, quota.counts_of(session, user_id))


def change_user(caller: Caller, user_id: str, wanted: UserChange) -> AdminUserView:
    """Change an account. If its rights change, its sessions end; if admin rights are lost, its invitations end, too.

    Raises Forbidden for non-admins and API tokens, UserNotFound, Conflict if no active admin would be left.
    """
    check_admin(caller)
    check_not_api_token(caller)
    if (wanted.get("quota_bytes") or 0) < 0:
        message = "A quota is 0 (none) or more bytes."
        raise InvalidInput(message, {"quotaBytes": message})
    with transaction() as session:
        advisory_lock(session, "admins")  # otherwise two admins could demote each other at the same time
        recheck_admin(session, caller)
        user = session.get(User, user_id, with_for_update=True)
        if user is None or user.closed_at:
            raise UserNotFound
        before = _rights(user)
        for name, value in wanted.items():
            setattr(user, name, value)
        session.flush()
        if before == (True, True) != _rights(user):
            accounts.check_admin_remains(session)
            accounts.revoke_all(session, user.id)
        if before != _rights(user):
            sessions.end_all(session, user.id, tokens=not user.is_active)
        detail = {"userId": user.id, **wanted}
        session.add(Event(kind="user_changed", actor_id=caller.user_id, detail=detail))
        return _view(user, quota.counts_of(session, user.id))


def end_sessions(caller: Caller, user_id: str) -> int:
    """Sign a user out on all devices, and return their number. API tokens keep working.

    Raises Forbidden for non-admins and API tokens, UserNotFound.
    """
    check_admin(caller)
    check_not_api_token(caller)
    with transaction() as session:
        recheck_admin(session, caller)
        user = session.get(User, user_id, with_for_update={"key_share": True})
        if user is None or user.closed_at:
            raise UserNotFound
        ended = sessions.end_all(session, user.id)
        detail = {"userId": user.id, "ended": ended}
        session.add(Event(kind="sessions_ended", actor_id=caller.user_id, detail=detail))
    return ended


def _conditions(q: str) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [col(User.closed_at).is_(None)]
    words = q.strip()
    if words:
        wanted.append(or_(cursors.contains(User.email, words), cursors.contains(User.name, words)))
    return wanted


def _rights(user: User) -> tuple[bool, bool]:
    return user.is_admin, user.is_active


def _count(session: Session, q: str) -> int:
    if not q.strip():
        return quota.counts_of_all(session).accounts
    matches = select(User.id).where(*_conditions(q)).limit(MAX_COUNTED).subquery()
    return session.exec(select(func.count()).select_from(matches)).one()


def _view(user: User, counted: quota.Counts) -> AdminUserView:
    return AdminUserView.from_row(
        user,
        user_id=user.id,
        video_count=counted.videos,
        storage_bytes=counted.used_bytes,
        quota_bytes=quota.limit(user),
        has_own_quota=user.quota_bytes is not None,
    )
