"""Concurrent changes to accounts: one of them succeeds, on SQLite and PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.support.installation import Configure
from tests.support.videos import insert_video
from tests.support.waiting import eventually
from videovault import db
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, VideoVaultError
from videovault.gateways.storage import Storage
from videovault.models import Counter, Status, User, Video
from videovault.services.accounts import accounts, passwords, tokens
from videovault.services.admin import users
from videovault.services.core.access import Caller
from videovault.services.videos import deletion

pytestmark = pytest.mark.thorough

PASSWORD = "correct horse"


@pytest.fixture
def anna(database: str, configure: Configure) -> Caller:
    del database
    configure(SIGNUP="invite")
    return accounts.authenticate(accounts.register("anna@example.com", PASSWORD).token)


def token_of(link: str) -> str:
    return link.partition("=")[2]


def invited(anna: Caller, email: str) -> Caller:
    token = token_of(accounts.invite(anna, email).url)
    return accounts.authenticate(accounts.register(email, PASSWORD, invitation=token).token)


def at_once(*calls: Callable[[], object]) -> list[type[VideoVaultError] | None]:
    """The type of each call's error, or None."""
    together = Barrier(len(calls))

    def one(call: Callable[[], object]) -> type[VideoVaultError] | None:
        together.wait()
        try:
            call()
        except VideoVaultError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


@pytest.mark.usefixtures("database")
def test_of_two_concurrent_first_users_one_becomes_admin() -> None:
    db.migrate()
    emails = [f"{name}@example.com" for name in ("anna", "bert", "cleo", "dora")]
    assert at_once(*(partial(accounts.register, email, PASSWORD) for email in emails)) == [None] * 4
    with reading() as session:
        assert sorted(session.exec(select(User.is_admin))) == [False, False, False, True]


def test_two_concurrent_tokens_do_not_pass_the_limit(anna: Caller) -> None:
    for number in range(tokens.MAX_TOKENS - 1):
        tokens.create(anna, f"Token {number}")
    for _ in range(8):  # often enough for two to meet
        ends = at_once(*(partial(tokens.create, anna, "The last one") for _ in range(6)))
        assert sorted(map(str, ends)) == sorted(map(str, [None, *[Conflict] * 5]))
        assert len(tokens.list_tokens(anna)) == tokens.MAX_TOKENS
        tokens.revoke(
            anna, next(each.token_id for each in tokens.list_tokens(anna) if each.name == "The last one")
        )


def test_an_invitation_makes_one_account(anna: Caller) -> None:
    token = token_of(accounts.invite(anna).url)
    ends = at_once(
        lambda: accounts.register("b@example.com", PASSWORD, invitation=token),
        lambda: accounts.register("c@example.com", PASSWORD, invitation=token),
    )
    assert sorted(map(str, ends)) == sorted(map(str, [None, Forbidden]))
    assert len(users.find_users(anna).people) == 2


def test_a_reset_link_sets_one_password(anna: Caller) -> None:
    token = token_of(passwords.reset_link_for_admin(anna, anna.user_id).url)
    ends = at_once(
        lambda: passwords.reset(token, "first horse wins"),
        lambda: passwords.reset(token, "second horse wins"),
    )
    assert sorted(map(str, ends)) == sorted(map(str, [None, Forbidden]))


def test_two_concurrent_demotions_leave_one_admin(anna: Caller) -> None:
    bert = invited(anna, "bert@example.com")
    users.change_user(anna, bert.user_id, {"is_admin": True})
    bert = accounts.authenticate(accounts.login(bert.email, PASSWORD).token)
    ends = at_once(
        lambda: users.change_user(anna, anna.user_id, {"is_admin": False}),
        lambda: users.change_user(bert, bert.user_id, {"is_active": False}),
    )
    assert sorted(map(str, ends)) == sorted(map(str, [None, Conflict]))


def test_an_account_is_closed_once(anna: Caller) -> None:
    bert = invited(anna, "bert@example.com")
    accounts.close_account(bert, PASSWORD)
    accounts.finish_closing()
    assert [one.email for one in users.find_users(anna).people] == ["anna@example.com"]


@pytest.mark.parametrize("database", [pytest.param("PostgreSQL", marks=pytest.mark.postgres)], indirect=True)
def test_closing_waits_for_a_video_without_the_lock_on_a_counter(anna: Caller, moto_s3: Storage) -> None:
    """A transaction that holds the video could want the counters next: a deadlock."""
    del moto_s3
    bert = invited(anna, "bert@example.com")
    _, last = (
        insert_video(bert, Status.DRAFT, created_at=utcnow() + timedelta(days=day)) for day in range(2)
    )
    accounts.close_account(bert, PASSWORD)
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            session.get(Video, last, with_for_update={"key_share": True})
            closing = pool.submit(accounts.finish_closing)
            eventually(_is_anyone_waiting)
            session.exec(select(Counter).with_for_update(nowait=True)).all()
        closing.result()
    deletion.finish_pending()
    accounts.finish_closing()
    assert [one.email for one in users.find_users(anna).people] == ["anna@example.com"]
    with reading() as session:
        assert not session.exec(select(Video)).all()


def _is_anyone_waiting() -> bool:
    with reading() as session:
        waiting = text("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype IN ('tuple', 'transactionid')")
        return session.connection().execute(waiting).first() is not None
