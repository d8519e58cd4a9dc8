"""A response that is the video itself is stored; a truncated one leaves the order waiting for its report."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.support.database_outage import database_away
from tests.support.films import film, with_padding
from tests.support.installation import Configure
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.s3_proxy import S3Proxy
from tests.support.small_disk import small_disk
from tests.support.videos import is_storage_empty, never
from tests.support.waiting import HANG_SECONDS, eventually
from videovault import db
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.models import Status, Video, WebhookCall
from videovault.services.core.access import Caller
from videovault.services.core.lifecycle import LEASE_SECONDS
from videovault.services.core.naming import folder
from videovault.services.generation import callbacks, order_lease, webhook_log
from videovault.services.generation.callbacks import Report
from videovault.services.maintenance import repair
from videovault.services.transfer import cleanup, pipeline, response_video
from videovault.services.videos import gallery, sidecar

pytestmark = pytest.mark.thorough

PATH = "/order"
FILM = film()
LARGE = with_padding(FILM, 9 * MIB)  # two parts
Generating = Callable[[], Video]


@dataclass
class Answering:
    """A generator that answers an order in this way; ``order`` makes a worker send one."""

    server: MisbehavingServer
    make: Generating

    def order(self, behaviour: ServerBehaviour) -> str:
        self.server.serve(PATH, replace(behaviour, ranges=False))
        video = self.make()
        pipeline.produce(video.id, stopping=never)
        return video.id

    def orders(self) -> int:
        return len(self.server.seen(PATH))


@pytest.fixture
def answering(
    server: MisbehavingServer, proxy: S3Proxy, generating: Generating, configure: Configure
) -> Answering:
    del proxy
    configure(VIDEO_WEBHOOK_URL=server.serve(PATH, ServerBehaviour()), WEBHOOK_TIMEOUT_SECONDS=HANG_SECONDS)
    return Answering(server, generating)


def lease_runs_out(video_id: str) -> None:
    with transaction() as session:
        row = session.get_one(Video, video_id)
        assert row.heartbeat_at
        row.heartbeat_at -= timedelta(seconds=LEASE_SECONDS + 1)
        row.call_heartbeat_at = row.heartbeat_at


@pytest.mark.parametrize(
    "behaviour",
    [
        ServerBehaviour(body=FILM, content_type="application/json"),
        ServerBehaviour(body=LARGE),
        ServerBehaviour(body=LARGE, chunked=True),
        ServerBehaviour(body=FILM, until_close=True),
        ServerBehaviour(body=film("webm", "libvpx"), status=201),
    ],
    ids=["small, called JSON", "in parts", "chunked", "until close", "WebM, 201"],
)
def test_a_body_that_is_the_video_is_stored_and_ready(
    behaviour: ServerBehaviour, answering: Answering, row: Row, anna: Caller
) -> None:
    video_id = answering.order(behaviour)
    found = row(video_id)
    assert (found.status, found.size) == (Status.READY, len(behaviour.body or b"")), found.error_message
    assert (found.duration, found.deadline_at, found.source_url, found.reserved_bytes) == (2, None, None, 0)
    assert (found.heartbeat_at, found.poster_key) == (None, folder(found) + "poster.webp")
    assert httpx.get(gallery.download_url(anna, video_id)).content == behaviour.body
    kept = sidecar.read(folder(found))
    assert kept
    assert kept.metadata.crc32 == found.crc32
    assert answering.orders() == 1
    assert list(storage.connected().uploads()) == []
    with reading() as session:
        noted = session.exec(select(WebhookCall)).one()
    assert (noted.verdict, noted.answer) == ("accepted", webhook_log.VIDEO_BODY_PLACEHOLDER)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (ServerBehaviour(body=LARGE, drop_after=5 * MIB), "connection ended"),
        (ServerBehaviour(body=LARGE, declared=len(LARGE) + 1), "connection ended"),
        (ServerBehaviour(body=FILM[:-100], until_close=True), "ends too early"),
        (ServerBehaviour(body=LARGE, stall_after=5 * MIB), "stopped sending"),
    ],
    ids=["reset", "shorter than promised", "cut without a length", "stalled"],
)
def test_a_truncated_response_waits_for_a_report_and_is_not_ordered_again(
    behaviour: ServerBehaviour, why: str, answering: Answering, row: Row, anna: Caller, configure: Configure
) -> None:
    if behaviour.stall_after:
        configure(WEBHOOK_TIMEOUT_SECONDS=1)
    video_id = answering.order(behaviour)
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.reserved_bytes, found.heartbeat_at) == (Status.GENERATING, 0, None)
    assert found.deadline_at
    assert found.deadline_at > utcnow()
    assert why in str(found.generator_note)
    assert order_lease.ORDERED_ONCE in str(found.generator_note)
    assert answering.orders() == 1
    assert is_storage_empty()
    late = answering.server.serve("/late.mp4", ServerBehaviour(body=FILM))
    callbacks.apply(anna, Report(anna.user_id, video_id, "ready", late), enqueue=list)
    pipeline.produce(video_id, stopping=never)
    assert row(video_id).status == Status.READY


@pytest.mark.parametrize("chunked", [False, True], ids=["of a known length", "chunked"])
@pytest.mark.parametrize(
    ("limit", "code"), [("MAX_VIDEO_BYTES", "SOURCE_FAILED"), ("DEFAULT_QUOTA_BYTES", "QUOTA_EXCEEDED")]
)
def test_a_video_without_enough_quota_fails_with_the_reason(
    limit: str, code: str, answering: Answering, row: Row, configure: Configure, *, chunked: bool
) -> None:
    configure(**{limit: 5 * MIB})
    found = row(answering.order(ServerBehaviour(body=LARGE, chunked=chunked)))
    assert (found.status, found.error_code, found.reserved_bytes) == (Status.FAILED, code, 0)
    assert is_storage_empty()
    assert answering.orders() == 1


def test_a_file_without_a_picture_fails_and_leaves_nothing(answering: Answering, row: Row) -> None:
    found = row(answering.order(ServerBehaviour(body=film(codec=None, audio="aac"))))
    assert (found.status, found.error_code) == (Status.FAILED, "SOURCE_FAILED")
    assert is_storage_empty()


def test_a_full_disk_fails_the_video_with_the_reason(
    answering: Answering, row: Row, configure: Configure, installation: Path
) -> None:
    with small_disk(installation / "disk", 64) as disk:
        shutil.copytree(installation / "var", disk.folder, dirs_exist_ok=True)
        configure(DATA_DIR=disk.folder)
        found = row(answering.order(ServerBehaviour(body=LARGE)))
        assert (found.status, found.error_code) == (Status.FAILED, "DISK_FULL")
        assert "not enough space on the server's disk" in str(found.error_message)


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [("UploadPart", (403, "AccessDenied")), ("CreateMultipartUpload", (503, "SlowDown"))],
)
def test_a_received_video_is_stored_once_the_store_accepts_it(
    operation: str, refusal: tuple[int, str], answering: Answering, row: Row, proxy: S3Proxy
) -> None:
    proxy.refuse = {operation: [refusal]}
    found = row(answering.order(ServerBehaviour(body=LARGE)))
    assert (found.status, found.size, found.generator_note) == (Status.READY, len(LARGE), None)
    assert proxy.refuse[operation] == []
    assert answering.orders() == 1
    assert list(storage.connected().uploads()) == []


def test_a_store_that_stays_unavailable_fails_the_video_and_leaves_nothing(
    answering: Answering, row: Row, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_video, "STORE_PATIENCE", timedelta(0))
    configure(AWS_ACCESS_KEY_ID="test", AWS_S3_BUCKET_NAME="there-is-no-such-bucket")
    found = row(answering.order(ServerBehaviour(body=LARGE)))
    assert (found.status, found.error_code) == (Status.FAILED, "STORAGE_FAILED")
    assert found.upload_kept_until is None


def test_a_received_video_outlasts_an_outage_of_the_store_and_the_database(
    answering: Answering, row: Row, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "RETRY_SECONDS", (0.01, 0.01))
    reached, may_refuse = Event(), Event()

    def refuse_once(operation: str) -> tuple[int, str] | None:
        if operation != "UploadPart" or reached.is_set():
            return None
        reached.set()
        may_refuse.wait(HANG_SECONDS)
        return 403, "AccessDenied"

    proxy.choose = refuse_once
    answering.server.serve(PATH, ServerBehaviour(body=LARGE, ranges=False))
    video = answering.make()
    worker = Thread(target=pipeline.produce, args=(video.id,), kwargs={"stopping": never})
    worker.start()
    assert reached.wait(HANG_SECONDS)
    with database_away() as failures:
        may_refuse.set()
        eventually(lambda: failures.count(worker.name) > 3 or not worker.is_alive())
    worker.join(HANG_SECONDS)
    assert (row(video.id).status, answering.orders()) == (Status.READY, 1)


def test_a_truncated_response_in_an_outage_of_the_database_releases_the_video(
    answering: Answering, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "RETRY_SECONDS", (0.01, 0.01))
    answering.server.serve(PATH, ServerBehaviour(body=LARGE, stall_after=5 * MIB, ranges=False))
    video = answering.make()
    worker = Thread(target=pipeline.produce, args=(video.id,), kwargs={"stopping": never})
    worker.start()
    eventually(lambda: row(video.id).bytes_done)
    with database_away() as failures:
        answering.server.hang_up()
        eventually(lambda: failures.count(worker.name) > 3 or not worker.is_alive())
    worker.join(HANG_SECONDS)
    found = row(video.id)
    assert (found.status, found.reserved_bytes, found.heartbeat_at) == (Status.GENERATING, 0, None)
    assert order_lease.ORDERED_ONCE in str(found.generator_note)


@pytest.mark.parametrize("how", ["cancel", "report"])
def test_a_concurrent_change_wins_and_the_body_leaves_nothing(
    how: str, answering: Answering, row: Row, anna: Caller
) -> None:
    elsewhere = answering.server.serve("/elsewhere.mp4", ServerBehaviour(body=FILM))
    answering.server.serve(PATH, ServerBehaviour(body=LARGE, stall_after=5 * MIB, ranges=False))
    video = answering.make()
    worker = Thread(target=pipeline.produce, args=(video.id,), kwargs={"stopping": never})
    worker.start()
    eventually(lambda: row(video.id).bytes_done)
    assert row(video.id).reserved_bytes == len(LARGE)
    if how == "cancel":
        pipeline.cancel(anna, video.id)
    else:
        callbacks.apply(anna, Report(anna.user_id, video.id, "ready", elsewhere), enqueue=list)
    answering.server.hang_up()
    worker.join(HANG_SECONDS)
    assert not worker.is_alive()
    if how == "report":
        pipeline.produce(video.id, stopping=never)
        assert (row(video.id).status, row(video.id).size) == (Status.READY, len(FILM))
    else:
        assert (row(video.id).error_code, row(video.id).heartbeat_at) == ("CANCELLED", None)
        assert is_storage_empty()
    assert answering.orders() == 1


def test_a_worker_that_dies_while_receiving_leaves_an_order_waiting_for_its_report(
    answering: Answering, row: Row
) -> None:
    """It leaves the row as it last wrote it, and an unfinished upload."""
    video_id = answering.order(ServerBehaviour(body=LARGE, drop_after=5 * MIB))
    vault, key = storage.connected(), str(row(video_id).s3_key)
    vault.start_upload(key, storage.Description("video/mp4"))
    with transaction() as session:
        left = session.get_one(Video, video_id)
        left.heartbeat_at, left.reserved_bytes = utcnow(), 9
        left.call_heartbeat_at, left.unanswered_attempt = left.heartbeat_at, None
    cleanup.abort_orphaned_uploads(timedelta(0))
    assert len(list(vault.uploads())) == 1, "a worker is still sending it"
    lease_runs_out(video_id)
    repair.repair(enqueue=list)
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.generator_note) == (
        Status.GENERATING,
        f"{order_lease.WORKER_DIED} {order_lease.ORDERED_ONCE}",
    )
    assert (found.heartbeat_at, found.reserved_bytes, answering.orders()) == (None, 0, 1)
    cleanup.abort_orphaned_uploads(timedelta(0))
    assert list(vault.uploads()) == []
    with transaction() as session:
        session.get_one(Video, video_id).deadline_at = utcnow() - timedelta(seconds=1)
    repair.repair(enqueue=list)
    found = row(video_id)
    assert (found.error_code, found.reserved_bytes) == ("GENERATION_TIMED_OUT", 0)
    assert is_storage_empty()


def test_a_reported_link_to_the_same_video_is_not_stored_twice(
    answering: Answering, anna: Caller, bert: Caller
) -> None:
    video_id = answering.order(ServerBehaviour(body=FILM))
    link = gallery.download_url(anna, video_id)
    assert gallery.store_link(anna, link, anna.email, enqueue=list).video_id == video_id
    with pytest.raises(Exception, match="private"):
        gallery.store_link(bert, link, bert.email, enqueue=list)
