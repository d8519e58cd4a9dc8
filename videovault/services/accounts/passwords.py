"""Passwords: the rules for new ones, their verification, and the renewal of outdated hashes."""

import unicodedata
from functools import lru_cache

from sqlmodel import Session, col, update

from videovault import logs, security
from videovault.db import LAST_SEEN_LOCK_SECONDS, changes_row, reading, try_write
from videovault.errors import InvalidInput
from videovault.models import User
from videovault.services.core import audit, rate_limits

LENGTH = (8, 256)
COMMON = 10_000
MISSING = "Enter your password."
WRONG = "This is not your password."
CONTROLS = "A password cannot contain control characters."
TOO_COMMON = "This is one of the most common passwords. Choose another one."


def validate(value: str, field: str = "password") -> str:
    """The password, if it may be chosen. Raises InvalidInput."""
    shortest, longest = LENGTH
    if not shortest <= len(value) <= longest:
        raise _invalid(f"A password has {shortest} to {longest} characters.", field)
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
