"""A session lives while it is used, up to a limit, and can be ended from any device."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import argon2
import pytest
from sqlmodel import select

from tests.support.installation import Configure
from videovault import models, security
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Forbidden, InvalidInput, NotFound, NotSignedIn
from videovault.models import User
from videovault.services.accounts import accounts, passwords, sessions, tokens
from videovault.services.admin import users
from videovault.services.core.access import Caller

PASSWORD, NEW = "correct horse", "battery staple"


def sign_in(email: str = "anna@example.com", password: str = PASSWORD) -> str:
    return accounts.login(email, password).token


def shift(token: str, **ago: timedelta) -> None:
    """Move the times of one session into the past."""
    with transaction() as session:
        row = session.get_one(models.Session, security.token_hash(token))
        for name, by in ago.items():
            setattr(row, name, getattr(row, name) - by)


def is_living(token: str) -> bool:
    try:
        accounts.authenticate(token)
    except NotSignedIn:
        return False
    return True


def test_a_token_has_256_bits_and_is_kept_as_its_hash_only(anna: Caller) -> None:
    del anna
    token = sign_in()
    assert len(token) == 43  # 32 bytes in base64
    with reading() as session:
        kept = [str(row.model_dump()) for row in session.exec(select(models.Session))]
    assert len(kept) == 2
    assert not [row for row in kept if token in row]


@pytest.mark.parametrize(
    ("column", "days", "lives"),
    [
        ("last_seen_at", 13, True),
        ("last_seen_at", 14, False),
        ("expires_at", 89, True),
        ("expires_at", 90, False),
    ],
)
@pytest.mark.usefixtures("anna")
def test_a_session_ends_when_it_is_idle_or_old(column: str, days: int, *, lives: bool) -> None:
    token = sign_in()
    shift(token, **{column: timedelta(days=days)})
    assert is_living(token) == lives
    sessions.purge()
    with reading() as session:
        assert (session.get(models.Session, security.token_hash(token)) is not None) == lives


@pytest.mark.usefixtures("anna")
def test_the_settings_say_how_long(configure: Configure) -> None:
    configure(SESSION_IDLE_DAYS=1, SESSION_DAYS=2)
    signed_in = accounts.login("anna@example.com", PASSWORD)
    assert timedelta(days=1.9) < signed_in.expires_at - utcnow() <= timedelta(days=2)
    shift(signed_in.token, last_seen_at=timedelta(days=1))
    assert not is_living(signed_in.token)


@pytest.mark.usefixtures("anna")
def test_activity_keeps_a_session_alive() -> None:
    token = sign_in()
    shift(token, last_seen_at=timedelta(days=13))
    assert is_living(token)
    shift(token, last_seen_at=timedelta(days=13))
    assert is_living(token)


@pytest.mark.usefixtures("anna")
def test_devices_are_listed_and_signed_out_one_by_one() -> None:
    here, there = sign_in(), sign_in()
    caller = accounts.authenticate(here)
    [other] = [
        one
        for one in sessions.list_sessions(caller)
        if one.session_id == accounts.authenticate(there).session_id
    ]
    assert [one.is_current for one in sessions.list_sessions(caller)].count(True) == 1
    sessions.end(caller, other.session_id)
    assert (is_living(here), is_living(there)) == (True, False)


def test_sessions_of_other_users_cannot_be_ended(anna: Caller, bert: Caller) -> None:
    for session_id in (anna.session_id, "absent"):
        with pytest.raises(NotFound):
            sessions.end(bert, session_id)
    assert len(sessions.list_sessions(anna)) == 1


def test_a_password_change_ends_every_session_but_the_new_one(anna: Caller) -> None:
    old = sign_in()
    with pytest.raises(InvalidInput) as caught:
        accounts.change_password(accounts.authenticate(old), "wrong horse", NEW)
    assert list(caught.value.fields) == ["currentPassword"]
    assert is_living(old)
    fresh = accounts.change_password(accounts.authenticate(old), PASSWORD, NEW)
    assert (is_living(old), is_living(fresh.token)) == (False, True)
    assert [one.session_id for one in sessions.list_sessions(accounts.authenticate(fresh.token))] != [
        anna.session_id
    ]
    with pytest.raises(NotSignedIn):
        sign_in()
    assert is_living(sign_in(password=NEW))


def test_a_password_reset_ends_api_tokens_too(anna: Caller, bert: Caller) -> None:
    """The attacker may have created some."""
    link = passwords.reset_link_for_admin(anna, bert.user_id).url
    recoveries: dict[str, Callable[[], object]] = {
        bert.email: lambda: passwords.reset(link.partition("=")[2], NEW),
        anna.email: lambda: accounts.create_admin(anna.email, NEW),
    }
    for email, recover in recoveries.items():
        token = tokens.create(accounts.authenticate(sign_in(email)), "a thief's").token
        recover()
        with pytest.raises(NotSignedIn):
            tokens.authenticate(token)


@pytest.mark.parametrize("meanwhile", ["deactivated", "another password"])
def test_a_login_in_progress_fails_if_all_sessions_are_ended_meanwhile(
    anna: Caller, bert: Caller, meanwhile: str
) -> None:
    reset = passwords.reset_link_for_admin(anna, bert.user_id).url.partition("=")[2]
    changes: dict[str, Callable[[], object]] = {
        "deactivated": lambda: users.change_user(anna, bert.user_id, {"is_active": False}),
        "another password": lambda: passwords.reset(reset, NEW),
    }
    verify = argon2.low_level.verify_secret

    def slowly(*given: Any, **named: Any) -> bool:
        right = verify(*given, **named)
        changes[meanwhile]()
        return right

    with (
        patch.object(argon2.low_level, "verify_secret", slowly),
        pytest.raises(NotSignedIn, match=accounts.WRONG_LOGIN),
    ):
        sign_in(bert.email)
    with reading() as session:
        remaining = select(models.Session).where(models.Session.user_id == bert.user_id)
        assert session.exec(remaining).all() == []


def test_deactivation_ends_sessions_and_tokens_at_once(anna: Caller, bert: Caller) -> None:
    session, program = sign_in("bert@example.com"), tokens.create(bert, "nightly").token
    users.change_user(anna, bert.user_id, {"is_active": False})
    with pytest.raises(NotSignedIn):
        tokens.authenticate(program)
    with pytest.raises(NotSignedIn):
        sign_in("bert@example.com")
    users.change_user(anna, bert.user_id, {"is_active": True})
    assert not is_living(session)
    with pytest.raises(NotSignedIn):
        tokens.authenticate(program)


def test_a_role_change_ends_all_sessions(anna: Caller, bert: Caller) -> None:
    before = sign_in("bert@example.com")
    users.change_user(anna, bert.user_id, {"quota_bytes": 5})
    assert is_living(before)
    users.change_user(anna, bert.user_id, {"is_admin": True})
    assert not is_living(before)
    assert accounts.authenticate(sign_in("bert@example.com")).is_admin


def test_api_tokens_cannot_manage_accounts(anna: Caller) -> None:
    program = tokens.authenticate(tokens.create(anna, "nightly").token)
    for refused in (
        lambda: accounts.change_password(program, PASSWORD, NEW),
        lambda: accounts.rename(program, "Other"),
        lambda: sessions.list_sessions(program),
        lambda: sessions.end(program, anna.session_id),
        lambda: users.change_user(program, anna.user_id, {"quota_bytes": 5}),
        lambda: accounts.invite(program),
    ):
        with pytest.raises(Forbidden):
            refused()
    with reading() as session:
        assert session.get_one(User, anna.user_id).name == ""


def test_sessions_per_user_are_bounded(anna: Caller, bert: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    tokens = [sign_in() for _ in range(4)]
    assert not is_living(tokens[0])
    assert {accounts.authenticate(token).user_id for token in tokens[1:]} == {anna.user_id}
    with reading() as session:
        assert (
            len(session.exec(select(models.Session).where(models.Session.user_id == bert.user_id)).all()) == 1
        )
