"""Sessions: one for each sign-in on a device."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlmodel import Session, col, delete, select, update

from videovault import models, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import LAST_SEEN_LOCK_SECONDS, keep_newest, reading, transaction, try_write
from videovault.errors import NotFound, NotSignedIn
from videovault.models import ApiToken, Event, User
from videovault.services.core.access import Caller, check_not_api_token
from videovault.services.core.views import Timestamp, View

LAST_SEEN_INTERVAL = timedelta(minutes=1)
MAX_SESSIONS = 100  # of one user


class SessionView(View):
    """A signed-in device. ``is_current``: the one that makes the request."""

    session_id: str
    user_agent: str
    created_at: Timestamp
    last_seen_at: Timestamp
    expires_at: Timestamp
    is_current: bool


def start(session: Session, user: User, user_agent: str) -> tuple[str, models.Session]:
    """A new session and its token, in the caller's transaction. Beyond ``MAX_SESSIONS`` the oldest one ends."""
    token = security.new_token()
    row = models.Session(
        token_hash=security.token_hash(token),
        user_id=user.id,
        user_agent=user_agent[:300],
        expires_at=utcnow() + timedelta(days=settings().session_days),
    )
    session.add(row)
    session.flush()
    keep_newest(session, models.Session.created_at, MAX_SESSIONS, col(models.Session.user_id) == user.id)
    session.exec(update(User).where(col(User.id) == user.id).values(last_seen_at=utcnow()))
    return token, row


def authenticate(token: str, *, note: bool = True) -> Caller:
    """The caller with this session token. Raises NotSignedIn if it is unknown, ended or expired.

    Without ``note`` this does not count as activity: for automatic requests, made while the user may be away.
    """
    token_hash = security.token_hash(token)
    caller = authenticate_many([token_hash], note=note).get(token_hash)
    if caller is None:
        raise NotSignedIn
    return caller


def authenticate_many(token_hashes: Collection[str], *, note: bool) -> dict[str, Caller]:
    """The callers by token hash, in one query, without unknown, ended and expired tokens.

    ``note`` as in ``authenticate``.
    """
    known = (
        select(models.Session, User)
        .join(User, col(User.id) == col(models.Session.user_id))
        .where(col(models.Session.token_hash).in_(token_hashes), col(User.is_active))
    )
    with reading() as session:
        valid = [(found, user) for found, user in session.exec(known) if _is_valid(found)]
    if note:
        _note_seen([found for found, _ in valid])
    return {
        found.token_hash: Caller(
            user_id=user.id, email=user.email, is_admin=user.is_admin, session_id=found.id
        )
        for found, user in valid
    }


def list_sessions(caller: Caller) -> list[SessionView]:
    """The caller's sessions, most recently used first. Raises Forbidden for API tokens."""
    check_not_api_token(caller)
    own = (
        select(models.Session)
        .where(models.Session.user_id == caller.user_id)
        .order_by(col(models.Session.last_seen_at).desc())
    )
    with reading() as session:
        valid = [row for row in session.exec(own) if _is_valid(row)]
    return [
        SessionView.from_row(row, session_id=row.id, is_current=row.id == caller.session_id) for row in valid
    ]


def end(caller: Caller, session_id: str) -> None:
    """End one of the caller's sessions. Raises NotFound for absent and foreign ones alike."""
    check_not_api_token(caller)
    own = delete(models.Session).where(
        col(models.Session.id) == session_id, col(models.Session.user_id) == caller.user_id
    )
    with transaction(essential=True) as session:
        if not session.exec(own).rowcount:
            raise NotFound("There is no such session: it has ended already.")
        session.add(Event(kind="signed_out", actor_id=caller.user_id))


def logout(token: str) -> None:
    """End the session of this token, if there is one."""
    with transaction(essential=True) as session:
        found = session.get(models.Session, security.token_hash(token))
        if found:
            session.add(Event(kind="logout", actor_id=found.user_id))
            session.delete(found)


def end_all(session: Session, user_id: str, *, tokens: bool = False) -> int:
    """End every session of the user, with ``tokens`` the API tokens too, in the caller's transaction.

    Returns the number of ended sessions.
    """
    ended = session.exec(delete(models.Session).where(col(models.Session.user_id) == user_id)).rowcount
    if tokens:
        session.exec(delete(ApiToken).where(col(ApiToken.user_id) == user_id))
    return ended


def purge() -> None:
    """Delete expired sessions."""
    sessions = models.Session
    with transaction() as session:
        session.exec(delete(sessions).where(col(sessions.expires_at) <= utcnow()))
        session.exec(delete(sessions).where(col(sessions.last_seen_at) <= utcnow() - _idle()))


def _is_valid(found: models.Session) -> bool:
    return found.expires_at > utcnow() and found.last_seen_at > utcnow() - _idle()


def _idle() -> timedelta:
    return timedelta(days=settings().session_idle_days)


def _note_seen(valid: Sequence[models.Session]) -> None:
    """Update the last-seen times, at most once a minute so that reads rarely write."""
    due = [found for found in valid if utcnow() - found.last_seen_at >= LAST_SEEN_INTERVAL]
    if not due:
        return
    sessions, users = {found.token_hash for found in due}, {found.user_id for found in due}

    def keep(session: Session) -> None:
        for seen in (
            update(models.Session).where(col(models.Session.token_hash).in_(sessions)),
            update(User).where(col(User.id).in_(users)),
        ):
            session.exec(seen.values(last_seen_at=utcnow()))

    try_write("last seen", keep, lock_timeout=LAST_SEEN_LOCK_SECONDS)
