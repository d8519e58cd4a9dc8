"""A worker in threads of the test process, which runs the jobs of the real queue."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.installation import changing
from videovault import worker

POLL_SECONDS = 0.02


@contextmanager
def working(threads: int = 2) -> Iterator[None]:
    """Run jobs during the block; at its end, running jobs finish or return to the queue."""
    ended = threading.Event()
    workers = [threading.Thread(target=_work, args=(ended,), name=f"worker-{n}") for n in range(threads)]
    for each in workers:
        each.start()
    try:
        yield
    finally:
        ended.set()
        worker._stopping.set()
        for each in workers:
            each.join()
        worker._stopping.clear()


@pytest.fixture
def jobs(installation: Path) -> Iterator[None]:
    del installation
    with working():
        yield


def _work(ended: threading.Event) -> None:
    while not ended.is_set():
        with changing:
            huey = worker.queue().huey  # not cached: a test may change the settings
        huey.storage.read_timeout = POLL_SECONDS
        task = huey.dequeue()
        if task is None:
            ended.wait(POLL_SECONDS)
        else:
            huey.execute(task)
