"""Passwords: which ones are taken, whether one is right, and that its hash is of today's making."""

import unicodedata
from functools import lru_cache

from sqlmodel import Session, col, update

from videovault import logs, security
from videovault.db import LAST_SEEN_LOCK_SECONDS, reading, try_write
from videovault.errors import InvalidInput
from videovault.models import User
from videovault.services.core import audit, rate_limits

LENGTH = (8, 256)
COMMON = 10_000
MISSING = "Enter your password."
WRONG = "This is not your password."
CONTROLS = "A password cannot contain control characters."
TOO_COMMON = "This password is among the first that anybody would try. Choose another one."


def validate(value: str, field: str = "password") -> str:
    """A password that may be chosen. Raises InvalidInput."""
    shortest, longest = LENGTH
    if not shortest <= len(value) <= longest:
        raise _unfit(f"A password has {shortest} to {longest} characters.", field)
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        raise _unfit(CONTROLS, field)
    if value.lower() in _common():
        raise _unfit(TOO_COMMON, field)
    return value


def check_not_empty(value: str, field: str = "password") -> None:
    """Raises InvalidInput for an empty one, which needs no trying."""
    if not value:
        raise _unfit(MISSING, field)


def verify(user: User | None, password: str) -> bool:
    """Whether it is the user's; without a user it takes as long. For outside of transactions: hashing takes its time."""
    tried = password[: LENGTH[1]]
    if not security.verify_password(tried, user.password_hash if user else None):
        return False
    if user and security.needs_rehash(user.password_hash):
        _renew(user, tried)
    return True


def confirm(user_id: str, password: str, field: str = "password") -> User:
    """The user, who has just typed the right password. Raises InvalidInput beside ``field``, RateLimited."""
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
    """Set the hash if nobody has since ``user`` was read; whether it was set."""
    return bool(
        session.exec(
            update(User)
            .where(col(User.id) == user.id, col(User.password_hash) == user.password_hash)
            .values(password_hash=password_hash)
            .execution_options(synchronize_session=False)
        ).rowcount
    )


def _renew(user: User, password: str) -> None:
    renewed = security.hash_password(password)

    def keep(session: Session) -> None:
        if replace_hash(session, user, renewed):
            user.password_hash = renewed

    try_write("password hash", keep, lock_timeout=LAST_SEEN_LOCK_SECONDS)


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    """The commonest passwords, names and words: each stands in the list only where it ranks highest.

    So only the three together hold all of the 10,000 commonest passwords (docs/decisions/0014).
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(
        word for words in FREQUENCY_LISTS.values() for word in words[:COMMON] if len(word) >= LENGTH[0]
    )


def _unfit(message: str, field: str) -> InvalidInput:
    return InvalidInput(message, {field: message})
