"""Passwords: the rules for new ones, verification, renewal of outdated hashes, and reset by a link.

An admin passes the link on, or it is sent by e-mail.
"""

import unicodedata
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlmodel import Session, col, null, select, update

from videovault import logs, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import LAST_SEEN_LOCK_SECONDS, changes_row, reading, transaction, try_write
from videovault.errors import Forbidden, InvalidInput, UserNotFound
from videovault.models import Channel, Event, OutboxMessage, User
from videovault.services.accounts import sessions
from videovault.services.core import audit, fields, rate_limits
from videovault.services.core.access import Caller, check_admin, check_not_api_token
from videovault.services.core.views import LinkView

LENGTH = (8, 256)
WRONG_LENGTH = f"A password has {LENGTH[0]} to {LENGTH[1]} characters."
COMMON = 10_000
MISSING = "Enter your password."
WRONG = "This is not your password."
CONTROLS = "A password cannot contain control characters."
TOO_COMMON = "This is one of the most common passwords. Choose another one."
LIFETIME = timedelta(hours=1)  # of a reset link
MESSAGE_KIND = "account.reset"
LINK_INVALID = "This link has been used or is older than an hour. Ask for a new one."


def validate(value: str, field: str = "password") -> str:
    """The password, if it may be chosen. Raises InvalidInput."""
    shortest, longest = LENGTH
    if not shortest <= len(value) <= longest:
        raise _invalid(WRONG_LENGTH, field)
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        raise _invalid(CONTROLS, field)
    if value.lower() in _common():
        raise _invalid(TOO_COMMON, field)
    return value


def check_not_empty(value: str, field: str = "password") -> None:
    """Raises InvalidInput for an empty password, which needs no hashing."""
    if not value:
        raise _invalid(MISSING, field)


def verify(user: User | None, password: str) -> bool:
    """Whether it is the user's; takes equal time without a user. Call it outside transactions: hashing is slow."""
    password = password[: LENGTH[1]]
    if not security.verify_password(password, user.password_hash if user else None):
        return False
    if user and security.needs_rehash(user.password_hash):
        _renew(user, password)
    return True


def confirm(user_id: str, password: str, field: str = "password") -> User:
    """The user, if the password is right. Raises InvalidInput for ``field``, RateLimited."""
    check_not_empty(password, field)
    with reading() as session:
        user = session.get_one(User, user_id)
    with rate_limits.confirmation(user_id):
        if not verify(user, password):
            audit.try_record_hourly("confirmation_failed", actor_id=user_id)
            logs.refused("password", user_id=user_id)
            raise InvalidInput(WRONG, {field: WRONG})
    return user


def replace_hash(session: Session, user: User, password_hash: str) -> bool:
    """Set the hash unless it has changed since ``user`` was read; whether it was set."""
    same = col(User.id) == user.id, col(User.password_hash) == user.password_hash
    return changes_row(session, update(User).where(*same).values(password_hash=password_hash))


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
    validate(password)
    user = _user_of(security.unsign("reset", token, max_age_seconds=int(LIFETIME.total_seconds())))
    password_hash = security.hash_password(password)
    with transaction() as session:
        if not replace_hash(session, user, password_hash):
            raise Forbidden(LINK_INVALID)
        sessions.end_all(session, user.id, tokens=True)
        session.add(Event(kind="password_reset", actor_id=user.id))


def _renew(user: User, password: str) -> None:
    renewed = security.hash_password(password)

    def keep(session: Session) -> None:
        if replace_hash(session, user, renewed):
            user.password_hash = renewed

    try_write("password hash", keep, lock_timeout=LAST_SEEN_LOCK_SECONDS)


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    """The most common passwords, names and words. Each list omits what ranks higher in another one.

    So only together they contain all of the 10,000 most common passwords (docs/decisions/0014).
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(
        word for words in FREQUENCY_LISTS.values() for word in words[:COMMON] if len(word) >= LENGTH[0]
    )


def _invalid(message: str, field: str) -> InvalidInput:
    return InvalidInput(message, {field: message})


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
