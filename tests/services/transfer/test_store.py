"""A video while it is stored: what is kept for the next worker, and what is cleaned up."""

import zlib
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.services.conftest import Queued, Row
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.s3_proxy import Behaviour, Refusal, Request, S3Proxy
from tests.support.stores import LocksObjects
from tests.support.videos import (
    TransferThread,
    count_parts,
    is_storage_empty,
    never,
    set_columns,
    wait_for_parts,
)
from tests.support.waiting import HANG_SECONDS
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.core.naming import POSTER_NAME, SIDECAR_NAME, folder
from videovault.services.transfer import cleanup, pipeline
from videovault.services.transfer.engine import MultipartUpload, SourceFingerprint, StoredPart
from videovault.services.transfer.engine.types import PART_BYTES
from videovault.services.transfer.lease import LeaseLost
from videovault.services.transfer.store import VideoUploadJournal
from videovault.services.videos import deletion, gallery

pytestmark = pytest.mark.thorough

SIZE = 2 * PART_BYTES + MIB
# Falls silent after a part; without an ETag it is read by one connection only.
DATED = {"Last-Modified": "Mon, 26 Jan 2026 10:15:00 GMT"}
WHOLE = ServerBehaviour(size=SIZE, etag=None, headers=DATED)
SILENT = replace(WHOLE, stall_after=12 * MIB)
AWAY = ServerBehaviour(status=503, body=b"busy", headers={"Retry-After": "900"})


def test_a_stored_video_has_its_crc_in_row_and_view(anna: Caller, queued: Queued, row: Row) -> None:
    video_id = queued(ServerBehaviour(size=SIZE))
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.size) == (Status.READY, SIZE)
    assert found.crc32 == f"{zlib.crc32(payload(SIZE)):08x}"
    assert (found.upload_id, found.upload_source, count_parts(video_id)) == (None, None, 0)
    view = gallery.get(anna, video_id)
    assert view.metadata
    assert view.metadata.crc32 == found.crc32


def test_a_stopped_worker_leaves_its_parts_to_the_next(
    queued: Queued, row: Row, server: MisbehavingServer
) -> None:
    video_id = queued(SILENT)
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    worker.stopping.set()
    worker.ended()
    assert row(video_id).status == Status.QUEUED
    assert row(video_id).upload_id
    kept = count_parts(video_id)
    assert kept
    server.serve("/video.mp4", WHOLE)
    before = len(server.seen("/video.mp4"))
    pipeline.produce(video_id, stopping=never)
    assert row(video_id).crc32 == f"{zlib.crc32(payload(SIZE)):08x}"
    assert all(seen.range for seen in server.seen("/video.mp4")[before:])


def test_cancelling_takes_effect_while_the_source_is_silent_and_leaves_nothing(
    anna: Caller, queued: Queued, row: Row, server: MisbehavingServer
) -> None:
    video_id = queued(SILENT)
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    requests = len(server.seen("/video.mp4"))
    pipeline.cancel(anna, video_id)
    worker.ended()
    assert len(server.seen("/video.mp4")) == requests
    assert (row(video_id).error_code, row(video_id).upload_id, count_parts(video_id)) == (
        "CANCELLED",
        None,
        0,
    )
    assert is_storage_empty()


def test_a_retry_after_an_unavailable_source_keeps_the_parts(
    anna: Caller, queued: Queued, row: Row, server: MisbehavingServer
) -> None:
    video_id = _broken_off(queued, server)
    assert (row(video_id).status, row(video_id).error_code) == (Status.FAILED, "SOURCE_FAILED")
    assert gallery.get(anna, video_id).retry == "transfer"
    cleanup.clean_up_failed()
    kept = count_parts(video_id)
    assert kept
    server.serve("/video.mp4", ServerBehaviour(size=SIZE, etag=None, headers=DATED))
    before = server.bytes_sent("/video.mp4")
    pipeline.retry(anna, video_id, enqueue=lambda one: pipeline.produce(one, stopping=never))
    assert row(video_id).crc32 == f"{zlib.crc32(payload(SIZE)):08x}"
    assert server.bytes_sent("/video.mp4") - before <= SIZE - kept * PART_BYTES


def test_unused_parts_are_deleted_after_a_while(queued: Queued, row: Row, server: MisbehavingServer) -> None:
    video_id = _broken_off(queued, server)
    set_columns(video_id, upload_kept_until=utcnow() - timedelta(seconds=1))
    cleanup.clean_up_failed()
    assert (row(video_id).upload_id, count_parts(video_id)) == (None, 0)
    assert is_storage_empty()


def test_a_retry_after_cancelling_waits_for_the_previous_worker(
    anna: Caller, queued: Queued, row: Row, server: MisbehavingServer, proxy: S3Proxy
) -> None:
    video_id = queued(SILENT)
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    clearing_up = proxy.hold("Abort", video_id)
    pipeline.cancel(anna, video_id)
    assert clearing_up.arrived.wait(HANG_SECONDS)
    pipeline.retry(anna, video_id, enqueue=lambda _video_id: None)
    assert pipeline.produce(video_id, stopping=never) is None
    assert row(video_id).status == Status.QUEUED
    server.serve("/video.mp4", WHOLE)
    proxy.drop_held()
    worker.ended()
    pipeline.produce(video_id, stopping=never)
    assert row(video_id).status == Status.READY


def test_a_dead_workers_poster_is_kept(queued: Queued, row: Row) -> None:
    video_id = queued(ServerBehaviour(size=MIB))  # random bytes: no poster can be made of them
    key = folder(row(video_id)) + POSTER_NAME
    storage.connected().put(key, b"a picture", Description("image/webp"))
    pipeline.produce(video_id, stopping=never)
    assert (row(video_id).status, row(video_id).poster_key) == (Status.READY, key)


def test_a_poster_whose_response_was_lost_is_kept(
    queued: Queued, row: Row, proxy: S3Proxy, mp4: bytes
) -> None:
    """The next attempt is refused permanently; otherwise the test would wait 90 seconds for S3."""
    video_id = queued(ServerBehaviour(body=mp4))
    lost = proxy.hold("PutObject", "poster.webp", answered=True)
    lost.dropped.set()

    def refuse_the_next(_operation: str) -> None:
        if lost.arrived.is_set():
            proxy.refuse.setdefault("PutObject", [(403, "AccessDenied")])

    proxy.before = refuse_the_next
    pipeline.produce(video_id, stopping=never)
    assert proxy.refuse == {"PutObject": []}
    assert (row(video_id).status, row(video_id).poster_key) == (
        Status.READY,
        folder(row(video_id)) + POSTER_NAME,
    )


def test_an_unavailable_store_for_the_poster_does_not_delay_the_video(
    queued: Queued, row: Row, proxy: S3Proxy, mp4: bytes
) -> None:
    """A worker waits 90 s for S3 while it stores a video; for the poster it waits S3_RETRY_SECONDS only."""
    video_id = queued(ServerBehaviour(body=mp4))
    refused: list[str] = []

    class NoPoster(Behaviour):
        def refuse(self, request: Request) -> Refusal | None:
            if POSTER_NAME not in request.path:
                return None
            refused.append(request.operation)
            return 503, "SlowDown"

    proxy.behaviour = NoPoster()
    pipeline.produce(video_id, stopping=never)
    assert (row(video_id).status, row(video_id).poster_key) == (Status.READY, None)
    assert 2 <= len(refused) <= 20  # in 90 seconds there would be about 60


def test_a_bucket_with_object_lock_accepts_poster_and_sidecar(
    queued: Queued, row: Row, proxy: S3Proxy, mp4: bytes
) -> None:
    proxy.behaviour = LocksObjects()
    video_id = queued(ServerBehaviour(body=mp4))
    pipeline.produce(video_id, stopping=never)
    beside = {folder(row(video_id)) + name for name in (POSTER_NAME, SIDECAR_NAME)}
    assert beside < set(storage.connected().keys())
    assert row(video_id).poster_key


def _broken_off(queued: Queued, server: MisbehavingServer) -> str:
    """A video whose source became unavailable after one part."""
    video_id = queued(SILENT)
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    server.serve("/video.mp4", AWAY)
    server.hang_up()
    worker.ended()
    return video_id


def test_deleting_ends_the_transfer_and_leaves_nothing(anna: Caller, queued: Queued) -> None:
    video_id = queued(SILENT)
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    deletion.delete(anna, video_id)
    worker.ended()
    assert is_storage_empty()


def test_a_failed_transfer_leaves_nothing_and_has_a_reason(queued: Queued, row: Row, proxy: S3Proxy) -> None:
    video_id = queued(ServerBehaviour(size=SIZE))
    proxy.refuse["Complete"] = [(403, "AccessDenied")]
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.error_code, found.upload_id) == (Status.FAILED, "STORAGE_FAILED", None)
    assert is_storage_empty()


def test_an_upload_that_could_not_be_aborted_is_aborted_by_repair(
    anna: Caller, queued: Queued, row: Row, proxy: S3Proxy
) -> None:
    video_id = queued(SILENT)
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    proxy.refuse["Abort"] = [(403, "AccessDenied")] * 8
    pipeline.cancel(anna, video_id)
    worker.ended()
    assert row(video_id).upload_id
    proxy.refuse.clear()
    cleanup.clean_up_failed()
    assert (row(video_id).upload_id, count_parts(video_id)) == (None, 0)
    assert is_storage_empty()


def test_an_orphaned_upload_is_aborted_once_it_is_old_enough(own_embedded_s3: Storage) -> None:
    upload_id = own_embedded_s3.start_upload("videos/anna/stray/one.mp4", Description("video/mp4"))
    cleanup.abort_orphaned_uploads()
    assert upload_id in {each.upload_id for each in own_embedded_s3.uploads()}
    cleanup.abort_orphaned_uploads(older_than=timedelta(seconds=-5))
    assert not list(own_embedded_s3.uploads("videos/anna/stray"))


def test_the_upload_of_a_video_in_work_is_not_orphaned(queued: Queued, row: Row) -> None:
    video_id = queued(SILENT)
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    worker.stopping.set()
    worker.ended()
    cleanup.abort_orphaned_uploads(older_than=timedelta(seconds=-5))
    cleanup.clean_up_failed()
    assert [each.upload_id for each in storage.connected().uploads()] == [row(video_id).upload_id]


def test_a_journal_returns_what_was_written_into_it(queued: Queued, row: Row) -> None:
    video_id = queued(ServerBehaviour(size=SIZE))
    journal = VideoUploadJournal(row(video_id))
    assert journal.load() is None
    upload = MultipartUpload("upload-1", SourceFingerprint(SIZE, '"v1"', None), 12 * MIB, "mp4")
    journal.begin(upload)
    part = StoredPart(1, 12 * MIB, '"etag"', 0x00C0FFEE)
    journal.add(part)
    assert journal.load() == MultipartUpload("upload-1", upload.source, 12 * MIB, "mp4", (part,))
    journal.clear()
    assert (journal.load(), count_parts(video_id)) == (None, 0)


def test_a_worker_that_lost_its_lease_writes_nothing(queued: Queued, row: Row) -> None:
    video_id = queued(ServerBehaviour(size=SIZE))
    late = VideoUploadJournal(row(video_id))
    with transaction() as session:
        taken = session.get(Video, video_id)
        assert taken
        taken.attempt += 1
        taken.heartbeat_at = utcnow()
    with pytest.raises(LeaseLost):
        late.begin(MultipartUpload("upload-1", SourceFingerprint(SIZE, '"v1"', None), 12 * MIB, "mp4"))
    with pytest.raises(LeaseLost):
        late.add(StoredPart(1, 12 * MIB, '"etag"', 1))
    assert (row(video_id).upload_id, count_parts(video_id)) == (None, 0)
