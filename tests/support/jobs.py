"""A worker for tests: it takes jobs from the real queue and runs them, in threads of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.installation import changing
from videovault import worker


@contextmanager
def working(threads: int = 2) -> Iterator[None]:
    """Jobs are done as they come while the block lasts; those begun are finished or given up at its end."""
    over = threading.Event()
    crew = [threading.Thread(target=_work, args=(over,), name=f"worker-{n}") for n in range(threads)]
    for one in crew:
        one.start()
    try:
        yield
    finally:
        over.set()
        worker._stopping.set()
        for one in crew:
            one.join()
        worker._stopping.clear()


@pytest.fixture
def jobs(installation: Path) -> Iterator[None]:
    del installation
    with working():
        yield


def _work(over: threading.Event) -> None:
    while not over.is_set():
        with changing:
            huey = worker.queue().huey  # asked each time, as a test may change the settings
        task = huey.dequeue()
        if task is None:
            over.wait(0.02)
        else:
            huey.execute(task)
