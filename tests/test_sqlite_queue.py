"""The queue in SQLite: an enqueued task starts at once, in whatever process a thread waits for it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.support.waiting import HANG_SECONDS
from videovault.sqlite_queue import SUFFIX, WakingSqliteStorage

NEVER = 10 * HANG_SECONDS
TASKS = [f"task {number}".encode() for number in range(20)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def received(file: Path) -> Iterator[SimpleQueue[bytes | None]]:
    """What a consumer that polls hardly ever takes from the queue; it ends with ``TASKS[-1]``."""
    found: SimpleQueue[bytes | None] = SimpleQueue()
    storage = WakingSqliteStorage("test", str(file), read_timeout=NEVER)

    def consume() -> None:
        while (data := storage.dequeue()) is not None:
            found.put(data)
            if data == TASKS[-1]:
                return

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    yield found
    thread.join(HANG_SECONDS)
    assert not thread.is_alive()
    storage.close()


def test_an_enqueue_wakes_a_consumer_that_waits(file: Path, received: SimpleQueue[bytes | None]) -> None:
    """Each opens the queue by itself, as two processes do, and each task is sent once the last one has arrived."""
    enqueuing = WakingSqliteStorage("test", str(file))
    for data in TASKS:
        enqueuing.enqueue(data)
        assert received.get(timeout=HANG_SECONDS) == data
    enqueuing.close()


@pytest.fixture
def storage(file: Path) -> Iterator[WakingSqliteStorage]:
    opened = WakingSqliteStorage("test", str(file), read_timeout=0.01)
    yield opened
    opened.close()


def test_a_task_whose_wake_up_was_lost_is_found_by_polling(storage: WakingSqliteStorage) -> None:
    storage.enqueue(TASKS[0])
    storage.wake_ups.take()
    assert [storage.dequeue(), storage.dequeue()] == [TASKS[0], None]


def test_an_enqueue_succeeds_when_thousands_of_wake_ups_are_pending(storage: WakingSqliteStorage) -> None:
    for _ in range(100):
        storage.wake_ups.send(10_000)
    storage.enqueue(TASKS[0])
    assert storage.dequeue() == TASKS[0]


def test_the_pipe_is_private(file: Path, storage: WakingSqliteStorage) -> None:
    del storage
    assert Path(f"{file}{SUFFIX}").stat().st_mode & 0o777 == 0o600


def test_a_link_to_another_pipe_is_not_used(file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "others")
    Path(f"{file}{SUFFIX}").symlink_to(tmp_path / "others")
    storage = WakingSqliteStorage("queue", str(file), read_timeout=0.1)
    storage.enqueue(b"task")
    assert storage.dequeue() == b"task"
    pipe = os.open(tmp_path / "others", os.O_RDWR | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        os.read(pipe, 1)
    os.close(pipe)


def test_without_a_pipe_the_queue_is_polled(file: Path) -> None:
    """As on file systems that have no pipes."""
    file.with_name(file.name + SUFFIX).touch()
    storage = WakingSqliteStorage("test", str(file), read_timeout=0.01)
    storage.enqueue(TASKS[0])
    assert [storage.dequeue(), storage.dequeue()] == [TASKS[0], None]
    storage.close()
