"""Everybody's accounts, for admins: who is there, who may do what, and how much they may store."""

from collections.abc import Mapping
from typing import Any, TypedDict

from sqlmodel import Session, col, func, select

from videovault.db import one_at_a_time, reading, transaction
from videovault.errors import Conflict, InvalidInput, UserNotFound
from videovault.models import Event, User, Video
from videovault.services import invitations, quota, sessions
from videovault.services.access import Caller, check_admin, check_in_person, check_still_admin
from videovault.services.account_views import PersonView

LAST_ADMIN = "This is the only admin. Make somebody else an admin first."


class Change(TypedDict, total=False):
    """What an admin may set; ``quota_bytes`` None: the installation's own, 0: none."""

    is_admin: bool
    is_active: bool
    quota_bytes: int | None


def listing(caller: Caller) -> list[PersonView]:
    """Every account, the oldest first. Raises Forbidden for others than admins."""
    check_admin(caller)
    everybody = select(User).where(col(User.closed_at).is_(None)).order_by(col(User.created_at), col(User.id))
    with reading() as session:
        counts: Mapping[str, int] = dict(
            session.exec(select(Video.owner_id, func.count()).group_by(col(Video.owner_id))).all()
        )
        return [_view(session, user, counts.get(user.id, 0)) for user in session.exec(everybody)]


def change(caller: Caller, user_id: str, wanted: Change) -> PersonView:
    """Set what is wanted of an account. Its sessions end with the rights they were begun with, as do an admin's invitations.

    Raises Forbidden for others than admins and for programs, UserNotFound, Conflict where no active admin would be
    left.
    """
    check_admin(caller)
    check_in_person(caller)
    if (wanted.get("quota_bytes") or 0) < 0:
        message = "A quota is 0 (none) or more bytes."
        raise InvalidInput(message, {"quotaBytes": message})
    with transaction() as session:
        one_at_a_time(session, "admins")  # else two could each take the other for the one that is left
        check_still_admin(session, caller)
        user = session.get(User, user_id, with_for_update=True)
        if user is None or user.closed_at:
            raise UserNotFound
        before = _rights(user)
        for name, value in wanted.items():
            setattr(user, name, value)
        session.flush()
        if before == (True, True) != _rights(user):
            check_admin_left(session)
            invitations.withdraw(session, user.id)
        if before != _rights(user):
            sessions.end_all(session, user.id, tokens=not user.is_active)
        detail = {"userId": user.id, **wanted}
        session.add(Event(kind="user_changed", actor_id=caller.user_id, detail=detail))
        count = select(func.count()).select_from(Video).where(Video.owner_id == user.id)
        return _view(session, user, session.exec(count).one())


def check_admin_left(session: Session) -> None:
    """Raises Conflict where people would be left without an active admin; a change in this transaction counts."""
    living = select(func.count()).select_from(User).where(col(User.closed_at).is_(None))
    admins = living.where(col(User.is_admin), col(User.is_active))
    if not session.exec(admins).one() and session.exec(living).one():
        raise Conflict(LAST_ADMIN)


def _rights(user: User) -> tuple[bool, bool]:
    return user.is_admin, user.is_active


def _view(session: Session, user: User, video_count: int) -> PersonView:
    used: dict[str, Any] = {
        "storage_bytes": quota.used(session, user.id),
        "quota_bytes": quota.limit(user),
    }
    return PersonView.of(user, video_count=video_count, **used)
