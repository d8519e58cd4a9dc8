"""Rules for passwords, and their verification in equal time."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import argon2
import pytest
from passlib.hash import argon2 as older
from sqlmodel import select

from tests.support.installation import Configure
from videovault import security
from videovault.db import reading, transaction
from videovault.errors import InvalidInput, NotSignedIn
from videovault.models import User
from videovault.services.accounts import accounts, passwords
from videovault.services.core.access import Caller

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)  # before any account is made
def _as_in_the_product(full_cost_hashes: None) -> None:
    del full_cost_hashes


@contextmanager
def counted() -> Iterator[list[str]]:
    """The expensive calls: each hashing and each verification."""
    calls: list[str] = []
    real_hash, real_verify = argon2.low_level.hash_secret, argon2.low_level.verify_secret

    def hash_secret(*given: object, **named: object) -> object:
        calls.append("hash")
        return real_hash(*given, **named)  # type: ignore[arg-type] # handed on as they came

    def verify_secret(*given: object, **named: object) -> object:
        calls.append("verify")
        return real_verify(*given, **named)  # type: ignore[arg-type] # as above

    with (
        patch.object(argon2.low_level, "hash_secret", hash_secret),
        patch.object(argon2.low_level, "verify_secret", verify_secret),
    ):
        yield calls


def stored_hash() -> str:
    with reading() as session:
        return session.exec(select(User.password_hash)).one()


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "with\x00control", "half \ud83d of a pair"])
def test_invalid_passwords_are_refused_with_a_message_for_their_field(password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        passwords.validate(password, "newPassword")
    assert list(caught.value.fields) == ["newPassword"]


@pytest.mark.parametrize(
    "password", ["password", "12345678", "PassWord1", "jennifer", "trustno1", "iloveyou", "qwertyuiop"]
)
def test_common_passwords_are_refused_in_any_case(password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        passwords.validate(password)
    assert caught.value.public_message == passwords.TOO_COMMON


def test_the_list_has_the_most_common_passwords_of_allowed_length() -> None:
    common = passwords._common()
    assert len(common) > 3_000
    assert all(len(word) >= 8 for word in common)
    assert passwords.validate("correct horse battery") == "correct horse battery"


@pytest.mark.parametrize(
    "email", ["anna@example.com", "nobody@example.com", "no address", "ANNA@example.com "]
)
@pytest.mark.usefixtures("anna")
def test_a_wrong_login_costs_one_verification_for_known_and_unknown_accounts(email: str) -> None:
    with counted() as calls, pytest.raises(NotSignedIn):
        accounts.login(email, "wrong horse")
    assert calls == ["verify"]


def test_the_hash_for_unknown_users_is_up_to_date() -> None:
    assert not security.needs_rehash(security._UNKNOWN_USER_HASH)


@pytest.mark.usefixtures("anna")
def test_a_wrong_login_takes_equal_time_for_known_and_unknown_accounts() -> None:
    known, unknown = medians(wrong_login, "anna@example.com", "nobody@example.com")
    assert 0.5 < known / unknown < 2


@pytest.mark.usefixtures("anna")
def test_a_password_reset_request_takes_equal_time_for_any_address(configure: Configure) -> None:
    configure(SMTP_URL="smtp://127.0.0.1:9", MAIL_FROM="videos@brot.example")
    known, unknown = medians(passwords.request_reset, "anna@example.com", "nobody@example.com")
    assert 0.4 < known / unknown < 2.5


def wrong_login(email: str) -> None:
    with pytest.raises(NotSignedIn):
        accounts.login(email, "wrong horse")


def medians(do: Callable[[str], None], *emails: str) -> list[float]:
    """The median CPU time for each, which is independent of the machine's load."""
    took: dict[str, list[float]] = {email: [] for email in emails}
    for _ in range(11):
        for email in emails:
            began = time.thread_time()
            do(email)
            took[email].append(time.thread_time() - began)
    return [statistics.median(times) for times in took.values()]


def test_an_outdated_hash_is_renewed_at_the_next_login_only(anna: Caller) -> None:
    with transaction() as session:
        user = session.get_one(User, anna.user_id)
        user.password_hash = older.using(type="ID", memory_cost=8192, time_cost=1, parallelism=1).hash(
            PASSWORD
        )
    weak = stored_hash()
    with pytest.raises(NotSignedIn):
        accounts.login(anna.email, "wrong horse")
    assert stored_hash() == weak
    accounts.login(anna.email, PASSWORD)
    renewed = stored_hash()
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    accounts.login(anna.email, PASSWORD)
    assert stored_hash() == renewed
