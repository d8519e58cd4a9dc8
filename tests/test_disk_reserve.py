"""The disk reserve for signing in and deleting, on a small disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.support.installation import Configure, migrate
from tests.support.small_disk import SmallDisk, small_disk
from videovault import db
from videovault.db import (
    MIN_FREE_BYTES,
    RESERVE_BYTES,
    STEP_BYTES,
    DiskReserve,
    reading,
    transaction,
    try_write,
)
from videovault.errors import DiskFull
from videovault.models import Event

pytestmark = pytest.mark.thorough

MANY = 3000


@pytest.fixture
def disk(tmp_path: Path, configure: Configure) -> Iterator[SmallDisk]:
    """A small disk with the installation's database."""
    with small_disk(tmp_path / "disk", 64) as disk:
        url = f"sqlite:///{disk.folder / 'videovault.db'}"
        migrate(url)
        configure(DATABASE_URL=url)
        yield disk
        db.engine().dispose()


@pytest.fixture
def reserve(disk: SmallDisk) -> DiskReserve:
    db.refill_disk_reserve()
    return DiskReserve(disk.folder / "videovault.db")


def free_pages() -> int:
    with reading() as session:
        return db._free_pages(session.connection())


def events() -> list[str]:
    with reading() as session:
        return list(session.exec(select(Event.kind)))


def test_the_reserve_takes_up_its_space(reserve: DiskReserve, disk: SmallDisk) -> None:
    assert reserve.file.stat().st_blocks * 512 >= RESERVE_BYTES
    reserve.file.unlink()
    before = disk.free
    db.refill_disk_reserve()
    db.refill_disk_reserve()
    assert before - disk.free == RESERVE_BYTES
    assert free_pages() >= RESERVE_BYTES // 2


def test_without_a_reserve_a_full_disk_takes_no_write_at_all(disk: SmallDisk) -> None:
    """A control: otherwise the following tests prove nothing."""
    assert events() == []
    disk.fill()
    assert any(is_refused() for _ in range(MANY))


def is_refused() -> bool:
    try:
        with transaction(essential=True) as session:
            session.add(Event(kind="login"))
    except DiskFull:
        return True
    return False


def test_thousands_of_essential_writes_find_room_on_a_full_disk(
    reserve: DiskReserve, disk: SmallDisk
) -> None:
    for number in range(MANY):
        if number % 500 == 0:
            disk.fill()  # another program uses up all free space
        with transaction(essential=True) as session:
            session.add(Event(kind="login", detail={"number": number}))
    assert len(events()) == MANY
    assert reserve.file.stat().st_size == RESERVE_BYTES


def test_the_reserve_file_is_truncated_when_sqlites_files_must_grow(
    reserve: DiskReserve, disk: SmallDisk
) -> None:
    db.engine().dispose()  # the last connection deletes the log when it closes
    disk.fill()
    with transaction(essential=True) as session:
        session.add(Event(kind="login"))
    assert events() == ["login"]
    assert reserve.file.stat().st_size < RESERVE_BYTES


def test_a_process_that_opens_the_database_on_a_full_disk_can_read(
    reserve: DiskReserve, disk: SmallDisk
) -> None:
    del reserve
    db.engine().dispose()
    disk.fill()
    assert events() == []


def test_non_essential_writes_do_not_use_the_reserve(reserve: DiskReserve, disk: SmallDisk) -> None:
    db.engine().dispose()
    disk.fill()
    with transaction(essential=True) as session:
        session.add(Event(kind="login"))
    assert disk.free > 0
    kept = reserve.file.stat().st_size
    with pytest.raises(DiskFull), transaction() as session:
        session.add(Event(kind="renamed"))
    with pytest.raises(DiskFull):
        db.check_database_disk_space()
    assert (events(), reserve.file.stat().st_size) == (["login"], kept)


def test_an_optional_write_of_a_read_is_dropped(reserve: DiskReserve, disk: SmallDisk) -> None:
    del reserve
    disk.fill()
    try_write("last seen", lambda session: session.add(Event(kind="seen")), lock_timeout=0.2)
    assert events() == []


def test_a_locked_database_drops_the_optional_write_but_not_the_read(disk: SmallDisk) -> None:
    del disk
    with transaction() as session:
        session.add(Event(kind="other"))
        session.flush()
        try_write("last seen", lambda inner: inner.add(Event(kind="seen")), lock_timeout=0.05)
    with transaction() as session:  # with the default lock_timeout again
        assert session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 15_000
    assert events() == ["other"]


def test_a_bug_in_an_optional_write_is_not_hidden(disk: SmallDisk) -> None:
    del disk

    def wrong(_session: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        try_write("last seen", wrong, lock_timeout=0.2)


def test_other_database_errors_are_not_reported_as_a_full_disk(disk: SmallDisk) -> None:
    del disk
    with pytest.raises(OperationalError), transaction() as session:
        session.connection().exec_driver_sql("SELECT * FROM nothing")


def test_the_reserve_is_refilled_once_there_is_space(reserve: DiskReserve, disk: SmallDisk) -> None:
    db.engine().dispose()
    disk.fill()
    assert events() == []
    assert reserve.file.stat().st_size == RESERVE_BYTES - STEP_BYTES
    db.refill_disk_reserve()
    assert reserve.file.stat().st_size == RESERVE_BYTES - STEP_BYTES
    disk.clear()
    db.refill_disk_reserve()
    assert reserve.file.stat().st_size == RESERVE_BYTES
    assert free_pages() >= RESERVE_BYTES // 2
    with transaction() as session:
        session.add(Event(kind="renamed"))


def test_a_released_step_is_too_small_for_non_essential_writes() -> None:
    assert db.STEP_BYTES * 2 <= MIN_FREE_BYTES
