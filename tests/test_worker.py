"""The worker process itself: what waits for generators holds nothing else."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import log_grep
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.db import reading
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.generation import orders
from videovault.services.transfer import worker_registry
from videovault.services.videos import gallery
from videovault.worker import enqueue

pytestmark = pytest.mark.process

SCRIPT = {"hook": "Look", "body": "It is a thing.", "conclusion": "Buy it.", "avatar": "Anna"}


@pytest.fixture
def anna(moto_s3: Storage) -> Caller:
    del moto_s3
    return accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)


@pytest.fixture
def worker(anna: Caller, generator: Generator, configure: Configure, tmp_path: Path) -> Iterator[None]:
    """A worker for one transfer at a time."""
    del anna, generator
    configure(WORKERS=1, WEBHOOK_TIMEOUT_SECONDS=3600)
    log = tmp_path / "worker.log"
    log_grep.watch(log)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "videovault", "worker"], cwd=tmp_path, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()
        log_grep.learn(tmp_path / "var")
        print(log.read_text(errors="replace")[-3000:])


def wait_for(video_id: str, status: Status) -> Video:
    def found() -> Video:
        with reading() as session:
            return session.get_one(Video, video_id)

    eventually(lambda: found().status == status, lambda: f"it is {found().status}: {found().error_message}")
    return found()


@pytest.mark.usefixtures("worker")
def test_a_generator_that_hangs_holds_no_transfer_and_one_with_a_status_address_is_asked(
    anna: Caller, generator: Generator
) -> None:
    generator.then("hang", "poll")
    generator.polls_needed = 1
    hangs = orders.request(anna, SCRIPT, enqueue=enqueue).video_id
    eventually(lambda: generator.requests)
    polled = orders.request(anna, SCRIPT, enqueue=enqueue).video_id
    stored = gallery.store_link(anna, generator.file("other.mp4"), anna.email, enqueue=enqueue).video_id
    wait_for(stored, Status.READY)
    wait_for(polled, Status.READY)
    assert wait_for(hangs, Status.GENERATING).requested_at
    assert sorted(generator.renders.values()) == [1, 1]


def test_a_worker_says_that_it_is_alive_and_takes_its_leave(
    installation: Path, moto_s3: Storage, tmp_path: Path
) -> None:
    del installation, moto_s3
    with (tmp_path / "worker.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "videovault", "worker"], cwd=tmp_path, stdout=output, stderr=output
        )
    try:
        wait_for_workers(1)
        process.terminate()
        assert process.wait(HANG_SECONDS) == 0
        wait_for_workers(0)
    finally:
        process.kill()
        process.wait()


def wait_for_workers(number: int) -> None:
    eventually(lambda: len(worker_registry.list_workers()[0]) == number, lambda: "the worker did not say so")
