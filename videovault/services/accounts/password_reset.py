"""New passwords for those who forgot theirs: by a link that an admin hands over or that comes by e-mail."""

from datetime import timedelta
from typing import Any

from sqlmodel import null, select

from videovault import logs, security
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import Forbidden, InvalidInput, UserNotFound
from videovault.models import Channel, Event, OutboxMessage, User, now
from videovault.services.accounts import passwords, sessions
from videovault.services.accounts.views import LinkView
from videovault.services.core import audit, fields
from videovault.services.core.access import Caller, check_admin, check_in_person

LIFE = timedelta(hours=1)
MAIL = "account.reset"
SPENT = "This link has been used or is older than an hour. Ask for a new one."


def link_for(user: User) -> LinkView:
    """A link that sets another password, as long as the present one stays what it is."""
    token = security.signed("reset", [user.id, security.fingerprint(user.password_hash)])
    return LinkView(url=f"{settings().base_url}/reset?token={token}", expires_at=now() + LIFE)


def for_admin(caller: Caller, user_id: str) -> LinkView:
    """The link, for an admin to hand over. Raises Forbidden for others and for programs, UserNotFound."""
    check_admin(caller)
    check_in_person(caller)
    with transaction() as session:
        user = session.get(User, user_id)
        if user is None or not user.is_active:
            raise UserNotFound
        session.add(Event(kind="reset_link", actor_id=caller.user_id, detail={"userId": user_id}))
    return link_for(user)


def forgot(email: str) -> None:
    """Have the link sent to whoever has this address; nobody learns here whether somebody has.

    The outbox keeps the user's id only: the link is made when the letter is written. For nobody the same rows are
    written, so that it takes as long, but of a message that is never due.
    """
    if settings().smtp is None:
        return
    try:
        email = fields.checked_email(email)
    except InvalidInput:
        return
    with transaction() as session:
        user = session.exec(select(User).where(User.email == email)).first()
        user_id = user.id if user is not None and user.is_active else None
        session.add(
            OutboxMessage(
                kind=MAIL,
                channel=Channel.MAIL,
                video_id="",
                payload={"type": MAIL, "data": {"userId": user_id}},
                next_attempt_at=now() if user_id else null(),  # type: ignore[arg-type] # for None the default would be put in
            )
        )
        audit.tally(session, "forgot_password", actor_id=user_id)


def reset(token: str, password: str) -> None:
    """Set another password by a link's token, and end every session and API token: an account may be won back by it.

    Raises InvalidInput, Forbidden.
    """
    passwords.checked(password)
    user = _user_of(security.read_signed("reset", token, max_age_seconds=int(LIFE.total_seconds())))
    password_hash = security.hash_password(password)
    with transaction() as session:
        if not passwords.replace(session, user, password_hash):
            raise Forbidden(SPENT)
        sessions.end_all(session, user.id, tokens=True)
        session.add(Event(kind="password_reset", actor_id=user.id))


def _user_of(said: Any) -> User:
    match said:
        case [str(user_id), str(fingerprint)]:
            with reading() as session:
                user = session.get(User, user_id)
            if user and user.is_active and security.fingerprint(user.password_hash) == fingerprint:
                return user
    with transaction() as session:
        audit.tally(session, "reset_failed")
    logs.refused("password reset")
    raise Forbidden(SPENT)
