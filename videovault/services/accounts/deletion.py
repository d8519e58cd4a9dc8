"""Closing an account in two steps: the person is forgotten at once, then the videos go, then the row."""

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, exists, select

from videovault import logs, security
from videovault.db import one_at_a_time, reading, transaction
from videovault.errors import StorageError
from videovault.models import Event, Status, TestOrder, User, Video, now
from videovault.services.accounts import accounts, invitations, passwords, sessions
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller, check_in_person
from videovault.services.videos import deletion

log = logs.get(__name__)


def close(caller: Caller, password: str) -> None:
    """Delete the caller's account with every video in it; what S3 cannot delete now, ``finish_all`` does later.

    Raises Forbidden for programs, InvalidInput for a wrong password, RateLimited, and Conflict for the only admin
    among others.
    """
    check_in_person(caller)
    passwords.confirm(caller.user_id, password)
    nobodys_hash = security.hash_password(security.new_token())
    with transaction(essential=True) as session:
        one_at_a_time(session, "admins")
        user = session.get_one(User, caller.user_id, with_for_update=True)
        _forget_person(session, user, nobodys_hash)
        session.flush()
        accounts.check_admin_left(session)
        _give_up_videos(session, user.id)
        session.add(Event(kind="account_closed", actor_id=user.id))
    _finish(user.id)


def finish_all() -> None:
    """Go on with accounts whose videos were not yet gone."""
    with reading() as session:
        closed = list(session.exec(select(User.id).where(col(User.closed_at).is_not(None))))
    for user_id in closed:
        with transaction(
            essential=True
        ) as session:  # a video that was being asked for at the very moment of closing
            _give_up_videos(session, user_id)
        _drop(user_id)


def _forget_person(session: Session, user: User, password_hash: str) -> None:
    user.email, user.name = f"{user.id}@closed.invalid", ""
    user.password_hash = password_hash
    user.is_active = user.is_admin = False
    user.closed_at = now()
    sessions.end_all(session, user.id, tokens=True)
    invitations.withdraw(session, user.id)
    session.exec(delete(TestOrder).where(col(TestOrder.user_id) == user.id))  # they name the address


def _give_up_videos(session: Session, user_id: str) -> None:
    kept = select(Video).where(Video.owner_id == user_id, Video.status != Status.DELETING)
    for video in session.exec(kept.with_for_update()).all():
        lifecycle.move(
            session,
            video,
            Status.DELETING,
            actor_id=user_id,
            why="account closed",
            attempt=video.attempt + 1,
        )


def _finish(user_id: str) -> None:
    with reading() as session:
        videos = list(session.exec(select(Video).where(Video.owner_id == user_id)))
    try:
        for video in videos:
            deletion.finish(video)
    except StorageError as error:
        log.warning("closing an account waits for S3", reason=error.public_message)
    _drop(user_id)


def _drop(user_id: str) -> None:
    """The row, unless a video is left, or just comes in."""
    videos = select(Video.id).where(Video.owner_id == user_id)
    try:
        with transaction(essential=True) as session:
            session.exec(delete(User).where(col(User.id) == user_id, ~exists(videos)))
    except IntegrityError:
        log.info("closing an account waits for a video", user_id=user_id)
