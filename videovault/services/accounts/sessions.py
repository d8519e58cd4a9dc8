"""Sessions: each sign-in on a device, from its token's making to its end."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlmodel import Session, col, delete, or_, select, update

from videovault import models, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import LAST_SEEN_LOCK_SECONDS, keep_newest, reading, transaction, try_write
from videovault.errors import NotFound, NotSignedIn
from videovault.models import ApiToken, Event, User
from videovault.services.accounts.views import SessionView
from videovault.services.core.access import Caller, check_not_api_token

LAST_SEEN_INTERVAL = timedelta(minutes=1)
MAX_SESSIONS = 100  # of one user


def start(session: Session, user: User, user_agent: str) -> tuple[str, models.Session]:
    """A new session and its token, in a transaction of the caller's. Of more than ``MOST`` the oldest ends."""
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
    """Who shows this session's token. Raises NotSignedIn when it is unknown, ended or expired.

    Without ``note`` it does not count as use: for what asks by itself, while perhaps nobody is there.
    """
    shown = security.token_hash(token)
    caller = authenticate_many([shown], note=note).get(shown)
    if caller is None:
        raise NotSignedIn
    return caller


def authenticate_many(token_hashes: Collection[str], *, note: bool) -> dict[str, Caller]:
    """Who shows the tokens with these hashes, in one look; those that are unknown, ended or expired are left out.

    ``note`` as in ``authenticate``.
    """
    shown = (
        select(models.Session, User)
        .join(User, col(User.id) == col(models.Session.user_id))
        .where(col(models.Session.token_hash).in_(token_hashes), col(User.is_active))
    )
    with reading() as session:
        living = [(found, user) for found, user in session.exec(shown) if _is_living(found)]
    if note:
        _note_seen([found for found, _ in living])
    return {
        found.token_hash: Caller(
            user_id=user.id, email=user.email, is_admin=user.is_admin, session_id=found.id
        )
        for found, user in living
    }


def list_sessions(caller: Caller) -> list[SessionView]:
    """Where the caller is signed in, the latest used first. Raises Forbidden for programs."""
    check_not_api_token(caller)
    own = (
        select(models.Session)
        .where(models.Session.user_id == caller.user_id)
        .order_by(col(models.Session.last_seen_at).desc())
    )
    with reading() as session:
        living = [row for row in session.exec(own) if _is_living(row)]
    return [SessionView.of(row, current_id=caller.session_id) for row in living]


def end(caller: Caller, session_id: str) -> None:
    """End one of the caller's sessions. Raises NotFound alike for absent and foreign ones."""
    check_not_api_token(caller)
    own = delete(models.Session).where(
        col(models.Session.id) == session_id, col(models.Session.user_id) == caller.user_id
    )
    with transaction(essential=True) as session:
        if not session.exec(own).rowcount:
            raise NotFound("There is no such session: it has ended already.")
        session.add(Event(kind="signed_out", actor_id=caller.user_id))


def logout(token: str) -> None:
    """End the session of this token; an unknown one is ended already."""
    with transaction(essential=True) as session:
        found = session.get(models.Session, security.token_hash(token))
        if found:
            session.add(Event(kind="logout", actor_id=found.user_id))
            session.delete(found)


def end_all(session: Session, user_id: str, *, tokens: bool = False) -> int:
    """End every session of the user, and with ``tokens`` the API tokens too, in a transaction of the caller's.

    Returns how many sessions there were.
    """
    ended = session.exec(delete(models.Session).where(col(models.Session.user_id) == user_id)).rowcount
    if tokens:
        session.exec(delete(ApiToken).where(col(ApiToken.user_id) == user_id))
    return ended


def purge() -> None:
    """Forget sessions that are over."""
    sessions = models.Session
    over = or_(col(sessions.expires_at) <= utcnow(), col(sessions.last_seen_at) <= utcnow() - _idle())
    with transaction() as session:
        session.exec(delete(sessions).where(over))


def _is_living(found: models.Session) -> bool:
    return found.expires_at > utcnow() and found.last_seen_at > utcnow() - _idle()


def _idle() -> timedelta:
    return timedelta(days=settings().session_idle_days)


def _note_seen(living: Sequence[models.Session]) -> None:
    """Remember that their users were here, at most once a minute so that looking rarely writes."""
    late = [found for found in living if utcnow() - found.last_seen_at >= LAST_SEEN_INTERVAL]
    if not late:
        return
    sessions, users = {found.token_hash for found in late}, {found.user_id for found in late}

    def keep(session: Session) -> None:
        for seen in (
            update(models.Session).where(col(models.Session.token_hash).in_(sessions)),
            update(User).where(col(User.id).in_(users)),
        ):
            session.exec(seen.values(last_seen_at=utcnow()))

    try_write("last seen", keep, lock_timeout=LAST_SEEN_LOCK_SECONDS)
