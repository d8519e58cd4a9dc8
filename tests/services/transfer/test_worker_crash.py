"""A worker killed at any moment loses at most what it had not stored yet."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from tests.services.conftest import Row
from tests.support.embedded_s3 import EmbeddedS3
from tests.support.installation import Configure
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.waiting import eventually
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.core.naming import folder
from videovault.services.generation import order_lease
from videovault.services.maintenance import repair
from videovault.services.transfer import cleanup
from videovault.services.transfer.engine.types import PART_BYTES
from videovault.services.videos import gallery

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 4
SIZE = 2 * PART_BYTES + 4321

Producer = subprocess.Popen[str]


@pytest.fixture(scope="module")
def producer() -> Iterator[Producer]:
    program = [sys.executable, "-m", "tests.support.worker_process"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        program, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, start_new_session=True
    ) as started:
        try:
            yield started
        finally:
            os.killpg(started.pid, signal.SIGKILL)  # its worker too


@contextmanager
def _served(configure: Configure) -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as server:
        configure(SOURCE_ALLOW_HOSTS=f"127.0.0.1:{server.port}")
        yield server


def _begin(producer: Producer, video_id: str) -> None:
    assert producer.stdin
    producer.stdin.write(f"{json.dumps([video_id, dict(os.environ)])}\n")
    producer.stdin.flush()


def _end(producer: Producer, how: Literal["kill", "wait"]) -> None:
    assert producer.stdin
    assert producer.stdout
    producer.stdin.write(f"{how}\n")
    producer.stdin.flush()
    assert producer.stdout.readline() == "ended\n"


def _store(anna: Caller, url: str) -> str:
    enqueued: list[str] = []
    gallery.store_link(anna, url, anna.email, enqueue=enqueued.append)
    return enqueued[0]


def _lease_runs_out(video_id: str) -> None:
    with transaction() as session:
        video = session.get_one(Video, video_id)
        if video.heartbeat_at:
            video.heartbeat_at = utcnow() - timedelta(minutes=1)
        if video.call_heartbeat_at:
            video.call_heartbeat_at = utcnow() - timedelta(minutes=1)
    repair.repair(enqueue=lambda _video_id: None)


def test_a_worker_killed_at_a_random_moment_loses_nothing(
    producer: Producer,
    anna: Caller,
    row: Row,
    own_embedded_s3: Storage,
    embedded_s3: EmbeddedS3,
    configure: Configure,
) -> None:
    moments = random.Random(20)  # noqa: S311 - the same moments each time
    with _served(configure) as server:
        for number in range(ROUNDS):
            path = f"/round-{number}.mp4"
            url = server.serve(path, ServerBehaviour(size=SIZE, seed=number % 3, bytes_per_second=40 * MIB))
            video_id = _store(anna, url)
            _begin(producer, video_id)
            _wait_for(row, video_id, Status.STORING)
            time.sleep(moments.uniform(0.0, 0.5))
            _end(producer, "kill")
            before = server.bytes_sent(path)
            _lease_runs_out(video_id)
            _begin(producer, video_id)
            found = _wait_for(row, video_id, Status.READY)
            _end(producer, "wait")
            fetched = server.bytes_sent(path)
            kept = (embedded_s3.folder / str(found.s3_key)).read_bytes()
            again = f"read again {(fetched - SIZE) / MIB:5.1f} of {SIZE / MIB:.0f} MiB"
            print(f"round {number + 1:2}: killed after {before / MIB:5.1f} MiB, {again}")
            assert kept == payload(SIZE, number % 3)
            assert found.crc32 == f"{zlib.crc32(kept):08x}"
            assert fetched - before < SIZE + PART_BYTES  # a slow subrange is also read by a second reader
            cleanup.abort_orphaned_uploads(timedelta(0))  # started, but not yet recorded in its row
            assert not list(own_embedded_s3.uploads())


def test_a_worker_killed_while_a_generator_sends_it_the_video_leaves_one_order(
    producer: Producer,
    generating: Callable[[], Video],
    row: Row,
    own_embedded_s3: Storage,
    configure: Configure,
) -> None:
    with _served(configure) as server:
        behaviour = ServerBehaviour(size=SIZE, stall_after=SIZE // 2, ranges=False)
        configure(VIDEO_WEBHOOK_URL=server.serve("/order", behaviour))
        video = generating()
        _begin(producer, video.id)
        eventually(lambda: row(video.id).bytes_done)
        _end(producer, "kill")
        _lease_runs_out(video.id)
        _begin(producer, video.id)
        _end(producer, "wait")
        found = row(video.id)
        assert (found.status, found.unanswered_attempt) == (Status.GENERATING, video.attempt)
        assert found.generator_note == f"{order_lease.WORKER_DIED} {order_lease.ORDERED_ONCE}"
        assert (found.heartbeat_at, found.reserved_bytes, found.bytes_done) == (None, 0, 0)
        assert len(server.seen("/order")) == 1
        assert not list(own_embedded_s3.keys(folder(found)))


def _wait_for(row: Row, video_id: str, status: Status) -> Video:
    def became() -> bool:
        found = row(video_id)
        assert found.status != Status.FAILED, found.error_message
        return found.status in (status, Status.READY)

    eventually(became, lambda: f"the video did not become {status}")
    return row(video_id)
