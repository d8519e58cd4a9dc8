"""Counters are those of the rows after every change, also of concurrent and of failed transactions."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, delete, select

from tests.support.videos import insert_video, set_columns
from videovault import counters, db
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import Status, User, Video
from videovault.services.core import lifecycle, quota
from videovault.services.core.access import Caller
from videovault.services.core.quota import Counts

pytestmark = pytest.mark.usefixtures("database")
THREADS, CHANGES = 4, 24


class _RolledBack(Exception):
    """Ends a transaction without its changes."""


def counted(session: Session, *owner_ids: str) -> Counts:
    """Counted from the rows."""
    videos = session.exec(select(Video).where(col(Video.owner_id).in_(owner_ids))).all()
    ready = [video for video in videos if video.status == Status.READY]
    is_open = col(User.id).in_(owner_ids), col(User.closed_at).is_(None)
    return Counts(
        accounts=len(session.exec(select(User.id).where(*is_open)).all()),
        by_state={status: sum(video.status == status for video in videos) for status in Status},
        ready_bytes=sum(video.size or 0 for video in ready),
        copy_bytes=sum(video.copy_size or 0 for video in ready),
        reserved_bytes=sum(video.reserved_bytes for video in videos if video.status != Status.READY),
    )


def check(*callers: Caller) -> None:
    """The counters of each account, and the total, are those of the rows."""
    with reading() as session:
        for caller in callers:
            assert quota.counts_of(session, caller.user_id) == counted(session, caller.user_id)
        assert quota.counts_of_all(session) == counted(session, *(caller.user_id for caller in callers))


def change_at_random(owner: Caller, seed: int) -> None:
    """Insert, change and delete videos, each in a transaction of its own; some of them are rolled back."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    mine: list[str] = []
    for _ in range(CHANGES):
        with suppress(_RolledBack), transaction() as session:
            _change(session, chance, owner, mine)
            if chance.random() < 0.2:
                raise _RolledBack


def _change(session: Session, chance: random.Random, owner: Caller, mine: list[str]) -> None:
    video = session.get(Video, chance.choice(mine)) if mine else None
    if video is None or chance.random() < 0.4:
        status = chance.choice(list(Status))
        video = lifecycle.new_video(owner.user_id, status, "A title", size=chance.randrange(100))
        session.add(video)
        mine.append(video.id)
    elif chance.random() < 0.2:
        session.exec(delete(Video).where(col(Video.id) == video.id))
    else:
        values = {"size": chance.randrange(100), "reserved_bytes": chance.randrange(100), "copy_size": 7}
        lifecycle.update_if_unchanged(session, video, status=chance.choice(list(Status)), **values)
    session.flush()


def test_concurrent_changes_are_all_counted(anna: Caller, bert: Caller) -> None:
    owners = [anna, bert, anna, bert]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(change_at_random, owners, range(THREADS)))
    check(anna, bert)


def test_wrong_counters_are_corrected_while_others_write(anna: Caller, bert: Caller) -> None:
    insert_video(anna, Status.READY, size=5)
    with db.engine().begin() as connection:
        connection.execute(
            text("UPDATE counters SET ready = ready + 3, ready_bytes = 999 WHERE scope = :id"),
            {"id": anna.user_id},
        )
        connection.execute(text("UPDATE counters SET failed = 7 WHERE scope LIKE 'total-%'"))
    with ThreadPoolExecutor(THREADS) as pool:
        changes = [pool.submit(change_at_random, owner, seed) for seed, owner in enumerate((anna, bert))]
        assert pool.submit(quota.recount).result() == 1
        for change in changes:
            change.result()
    check(anna, bert)
    assert quota.recount() == 0


def test_accounts_in_turn_are_counted_again(anna: Caller, bert: Caller) -> None:
    with db.engine().begin() as connection:
        connection.execute(text("UPDATE counters SET ready = 3"))
        counters.recount_totals(connection)
    for _ in range(4):  # the end of the list is a call too
        quota.recount_next()
    check(anna, bert)


def test_closed_and_deleted_accounts_are_not_counted(anna: Caller, bert: Caller) -> None:
    with transaction() as session:
        session.get_one(User, bert.user_id).closed_at = utcnow()
    check(anna, bert)
    with transaction() as session:
        session.exec(delete(User).where(col(User.id) == bert.user_id))
    check(anna)


@pytest.fixture
def without_triggers() -> Iterator[None]:
    """As in a database that was restored from a backup, which holds no triggers."""
    with db.engine().begin() as connection:
        counters.remove(connection)
    yield
    db.migrate()


def test_a_restored_database_is_counted_when_it_is_migrated(anna: Caller, without_triggers: None) -> None:
    del without_triggers
    video_id = insert_video(anna, Status.READY, size=5)
    db.migrate()
    check(anna)
    set_columns(video_id, status=Status.FAILED)
    check(anna)


def test_a_lost_row_of_an_account_is_counted_again(anna: Caller) -> None:
    insert_video(anna, Status.READY, size=5)
    with db.engine().begin() as connection:
        connection.execute(text("DELETE FROM counters WHERE scope = :id"), {"id": anna.user_id})
        counters.recount_totals(connection)
        assert counters.recount_account(connection, anna.user_id)
    check(anna)


def test_an_account_that_counts_twice_is_corrected(anna: Caller, bert: Caller) -> None:
    with db.engine().begin() as connection:
        connection.execute(
            text("UPDATE counters SET accounts = accounts + 1 WHERE scope = :id"), {"id": bert.user_id}
        )
        counters.recount_totals(connection)
        assert counters.recount_account(connection, bert.user_id)
        assert not counters.recount_account(connection, bert.user_id)
    check(anna, bert)


def test_an_account_that_was_deleted_meanwhile_gets_no_row(anna: Caller) -> None:
    with db.engine().begin() as connection:
        assert not counters.recount_account(connection, "deleted")
        assert connection.execute(text("SELECT 1 FROM counters WHERE scope = 'deleted'")).first() is None
    check(anna)


def test_disabled_triggers_are_installed_again(database: str, anna: Caller) -> None:
    if database != "PostgreSQL":
        pytest.skip("SQLite cannot disable triggers")
    with db.engine().begin() as connection:
        connection.execute(text("ALTER TABLE videos DISABLE TRIGGER count_videos_insert"))
        assert not counters.are_installed(connection)
    insert_video(anna, Status.READY, size=5)
    db.migrate()
    check(anna)
