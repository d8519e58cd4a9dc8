"""The space that is kept back for signing in and deleting, on a disk of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.support.installation import Configure, migrate
from tests.support.small_disk import SmallDisk, small_disk
from videovault import db, disk_reserve
from videovault.db import reading, transaction, try_write
from videovault.disk_reserve import MIN_FREE_BYTES, RESERVE_BYTES, STEP_BYTES, DiskReserve
from videovault.errors import DiskFull
from videovault.models import Event

pytestmark = pytest.mark.thorough

MANY = 3000


@pytest.fixture
def disk(tmp_path: Path, configure: Configure) -> Iterator[SmallDisk]:
    """With the installation's database on it."""
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
    """Else the tests after this one prove nothing."""
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
            disk.fill()  # another program takes whatever is given free
        with transaction(essential=True) as session:
            session.add(Event(kind="login", detail={"number": number}))
    assert len(events()) == MANY
    assert reserve.file.stat().st_size == RESERVE_BYTES


def test_the_file_is_cut_where_sqlites_own_files_have_to_grow(reserve: DiskReserve, disk: SmallDisk) -> None:
    db.engine().dispose()  # the last one to close it throws its log away
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


def test_other_writes_leave_the_reserve_alone(reserve: DiskReserve, disk: SmallDisk) -> None:
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


def test_a_note_that_a_read_leaves_is_dropped(reserve: DiskReserve, disk: SmallDisk) -> None:
    del reserve
    disk.fill()
    try_write("last seen", lambda session: session.add(Event(kind="seen")), lock_timeout=0.2)
    assert events() == []


def test_a_locked_database_costs_a_note_and_not_the_read(disk: SmallDisk) -> None:
    del disk
    with transaction() as session:
        session.add(Event(kind="other"))
        session.flush()
        try_write("last seen", lambda inner: inner.add(Event(kind="seen")), lock_timeout=0.05)
    with transaction() as session:  # with the default lock_timeout again
        assert session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 15_000
    assert events() == ["other"]


def test_an_error_of_ours_in_a_note_is_not_hidden(disk: SmallDisk) -> None:
    del disk

    def wrong(_session: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        try_write("last seen", wrong, lock_timeout=0.2)


def test_another_fault_of_the_database_is_not_called_a_full_disk(disk: SmallDisk) -> None:
    del disk
    with pytest.raises(OperationalError), transaction() as session:
        session.connection().exec_driver_sql("SELECT * FROM nothing")


def test_the_reserve_is_made_whole_once_there_is_plenty(reserve: DiskReserve, disk: SmallDisk) -> None:
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


def test_the_steps_are_too_small_for_writes_that_can_wait() -> None:
    assert disk_reserve.STEP_BYTES * 2 <= MIN_FREE_BYTES
