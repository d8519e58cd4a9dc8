"""Objects of dead or late workers are deleted, also after the video was cancelled, retried or given another URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest

from tests.services.conftest import SCRIPT, Queued, Row
from tests.support.installation import Configure
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.s3_proxy import S3Proxy
from tests.support.videos import (
    TransferThread,
    ignore_job,
    insert_video,
    is_storage_empty,
    never,
    set_columns,
)
from videovault.clock import utcnow
from videovault.gateways import storage
from videovault.gateways.storage import Description
from videovault.models import Status
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.core.lifecycle import LEASE_SECONDS
from videovault.services.core.naming import SIDECAR_NAME, folder
from videovault.services.generation import orders
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline, scheduler

LONG_AGO = timedelta(seconds=LEASE_SECONDS + 5)
FILM = ServerBehaviour(size=5000)


pytestmark = pytest.mark.usefixtures("unprobed")


@pytest.fixture
def sent_by_a_dead_worker(anna: Caller, proxy: S3Proxy, row: Row) -> str:
    """A video queued again after its worker died with the whole object in S3."""
    del proxy
    video_id = insert_video(anna, Status.STORING, ago=60, heartbeat_at=utcnow() - LONG_AGO)
    key = f"{folder(row(video_id))}1000000000000_a.mp4"
    storage.connected().put(key, b"whole", Description("video/mp4"))
    set_columns(video_id, s3_key=key)
    scheduler.requeue_expired(enqueue=ignore_job)
    assert row(video_id).status == Status.QUEUED
    return video_id


def test_a_dead_workers_object_is_deleted_when_the_video_is_cancelled(
    anna: Caller, sent_by_a_dead_worker: str
) -> None:
    pipeline.cancel(anna, sent_by_a_dead_worker)
    repair.repair(enqueue=list)
    assert is_storage_empty()


def test_the_object_of_an_earlier_url_is_deleted_when_another_is_stored(
    anna: Caller, sent_by_a_dead_worker: str, server: MisbehavingServer, row: Row
) -> None:
    pipeline.cancel(anna, sent_by_a_dead_worker)
    rescue.set_video_url(anna, sent_by_a_dead_worker, server.serve("/other.mp4", FILM), enqueue=list)
    pipeline.produce(sent_by_a_dead_worker, stopping=never)
    found = row(sent_by_a_dead_worker)
    assert found.status == Status.READY
    assert set(storage.connected().keys()) == {found.s3_key, folder(found) + SIDECAR_NAME}


def test_a_late_worker_deletes_what_it_sent_for_an_earlier_url(
    anna: Caller, queued: Queued, proxy: S3Proxy, server: MisbehavingServer, row: Row
) -> None:
    video_id = queued(FILM)
    with _held_while_sending(video_id, proxy):
        pipeline.cancel(anna, video_id)
        rescue.set_video_url(anna, video_id, server.serve("/other.mp4", FILM), enqueue=list)
    assert is_storage_empty()
    assert (row(video_id).status, row(video_id).heartbeat_at) == (Status.QUEUED, None)


def test_a_late_worker_leaves_nothing_of_a_video_that_is_rendered_again(
    anna: Caller, queued: Queued, proxy: S3Proxy, row: Row, configure: Configure
) -> None:
    configure(VIDEO_WEBHOOK_URL="https://generator.example/video")
    video_id = queued(FILM)
    with _held_while_sending(video_id, proxy):
        pipeline.cancel(anna, video_id)
        orders.request(anna, SCRIPT, video_id, enqueue=list)
    assert is_storage_empty()
    assert (row(video_id).status, row(video_id).heartbeat_at) == (Status.GENERATING, None)


@contextmanager
def _held_while_sending(video_id: str, proxy: S3Proxy) -> Iterator[None]:
    """A worker whose upload is held while the block runs; it ends afterwards."""
    sending, send = Event(), Event()

    def hold(operation: str) -> None:
        if operation == "PutObject":
            sending.set()
            send.wait()

    proxy.before = hold
    worker = TransferThread(video_id)
    try:
        assert sending.wait(20)
        yield
    finally:
        send.set()
        worker.ended()
