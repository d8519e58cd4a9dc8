"""Password reset: by a link that an admin passes on or that is sent by e-mail."""

from datetime import timedelta
from typing import Any

from sqlmodel import null, select

from videovault import logs, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import Forbidden, InvalidInput, UserNotFound
from videovault.models import Channel, Event, OutboxMessage, User
from videovault.services.accounts import passwords, sessions
from videovault.services.accounts.views import LinkView
from videovault.services.core import audit, fields
from videovault.services.core.access import Caller, check_admin, check_not_api_token

LIFETIME = timedelta(hours=1)
MESSAGE_KIND = "account.reset"
LINK_INVALID = "This link has been used or is older than an hour. Ask for a new one."


def reset_link(user: User) -> LinkView:
    """A link that sets a new password, valid until the current one changes."""
    token = security.sign("reset", [user.id, security.password_fingerprint(user.password_hash)])
    return LinkView(url=f"{settings().base_url}/reset?token={token}", expires_at=utcnow() + LIFETIME)


def reset_link_for_admin(caller: Caller, user_id: str) -> LinkView:
    """The link, for an admin to pass on. Raises Forbidden for other users and API tokens, UserNotFound."""
    check_admin(caller)
    check_not_api_token(caller)
    with transaction() as session:
        user = session.get(User, user_id)
        if user is None or not user.is_active:
            raise UserNotFound
        session.add(Event(kind="reset_link", actor_id=caller.user_id, detail={"userId": user_id}))
    return reset_link(user)


def request_reset(email: str) -> None:
    """Send the link to this address; the caller does not learn whether it has an account.

    The outbox stores only the user's id: the link is made when the e-mail is written. For an unknown address the same
    rows are written, so that it takes equal time, but the message is never due.
    """
    if settings().smtp is None:
        return
    try:
        email = fields.normalize_email(email)
    except InvalidInput:
        return
    with transaction() as session:
        user = session.exec(select(User).where(User.email == email)).first()
        user_id = user.id if user is not None and user.is_active else None
        session.add(
            OutboxMessage(
                kind=MESSAGE_KIND,
                channel=Channel.MAIL,
                video_id="",
                payload={"type": MESSAGE_KIND, "data": {"userId": user_id}},
                next_attempt_at=utcnow() if user_id else null(),  # type: ignore[arg-type] # None would be replaced by the default
            )
        )
        audit.record_hourly(session, "forgot_password", actor_id=user_id)


def reset(token: str, password: str) -> None:
    """Set a new password by a link's token and end every session and API token, since the account may have been stolen.

    Raises InvalidInput, Forbidden.
    """
    passwords.validate(password)
    user = _user_of(security.unsign("reset", token, max_age_seconds=int(LIFETIME.total_seconds())))
    password_hash = security.hash_password(password)
    with transaction() as session:
        if not passwords.replace_hash(session, user, password_hash):
            raise Forbidden(LINK_INVALID)
        sessions.end_all(session, user.id, tokens=True)
        session.add(Event(kind="password_reset", actor_id=user.id))


def _user_of(content: Any) -> User:
    match content:
        case [str(user_id), str(fingerprint)]:
            with reading() as session:
                user = session.get(User, user_id)
            if user and user.is_active and security.password_fingerprint(user.password_hash) == fingerprint:
                return user
    with transaction() as session:
        audit.record_hourly(session, "reset_failed")
    logs.refused("password reset")
    raise Forbidden(LINK_INVALID)
