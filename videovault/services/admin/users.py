"""User accounts, for admins: list, rights and quotas."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from videovault.db import advisory_lock, reading, transaction
from videovault.errors import InvalidInput, UserNotFound
from videovault.models import Event, User, Video
from videovault.services.accounts import accounts, sessions
from videovault.services.core import quota
from videovault.services.core.access import Caller, check_admin, check_not_api_token, recheck_admin
from videovault.services.core.views import Timestamp, View

Column = Literal["created", "email", "seen", "storage"]
_stored = (
    select(func.coalesce(func.sum(quota.BYTES_USED), 0))
    .where(col(Video.owner_id) == col(User.id))
    .correlate(User)
    .scalar_subquery()
)
SORTED_BY: Mapping[Column, Any] = {
    "created": col(User.created_at),
    "email": col(User.email),
    "seen": func.coalesce(col(User.last_seen_at), col(User.created_at)),
    "storage": _stored,
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
    """One page of accounts, and the number of all."""

    people: list[AdminUserView]
    total_count: int


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
    offset: int = 0,
    limit: int | None = None,
) -> UsersView:
    """One page of the accounts with ``q`` in e-mail address or name. Raises Forbidden for non-admins."""
    check_admin(caller)
    wanted = _conditions(q)
    order = SORTED_BY[sort].desc() if descending else SORTED_BY[sort].asc()
    page = select(User).where(*wanted).order_by(order, col(User.id))
    with reading() as session:
        users = session.exec(page.offset(offset).limit(limit)).all()
        count = session.exec(select(func.count()).select_from(User).where(*wanted)).one()
        used = _usage(session, [user.id for user in users] if limit else None)
    people = [_view(user, *used.get(user.id, (0, 0))) for user in users]
    return UsersView(people=people, total_count=count)


def list_users(caller: Caller) -> list[AdminUserView]:
    """All accounts, oldest first. Raises Forbidden for non-admins."""
    return find_users(caller).people


def get_user(caller: Caller, user_id: str) -> AdminUserView:
    """One account. Raises Forbidden for non-admins, UserNotFound."""
    check_admin(caller)
    with reading() as session:
        user = session.get(User, user_id)
        if user is None or user.closed_at:
            raise UserNotFound
        return _view(user, *_usage(session, [user_id]).get(user_id, (0, 0)))


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
        return _view(user, *_usage(session, [user.id]).get(user.id, (0, 0)))


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
        in_email = col(User.email).icontains(words, autoescape=True)
        wanted.append(or_(in_email, col(User.name).icontains(words, autoescape=True)))
    return wanted


def _rights(user: User) -> tuple[bool, bool]:
    return user.is_admin, user.is_active


def _usage(session: Session, user_ids: list[str] | None) -> Mapping[str, tuple[int, int]]:
    """For each of these users (None: all), the number of videos and the bytes that count towards the quota."""
    used = select(Video.owner_id, func.count(), func.sum(quota.BYTES_USED)).group_by(col(Video.owner_id))
    if user_ids is not None:
        used = used.where(col(Video.owner_id).in_(user_ids))
    return {owner_id: (count, int(bytes_ or 0)) for owner_id, count, bytes_ in session.exec(used)}


def _view(user: User, video_count: int, storage_bytes: int) -> AdminUserView:
    return AdminUserView.from_row(
        user,
        user_id=user.id,
        video_count=video_count,
        storage_bytes=storage_bytes,
        quota_bytes=quota.limit(user),
        has_own_quota=user.quota_bytes is not None,
    )
