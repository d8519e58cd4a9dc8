"""After a restore, nothing is ordered, sent or leased a second time."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from tests.services.conftest import Row
from tests.services.maintenance.backup.conftest import Elsewhere, Store, restore
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.videos import insert_video
from videovault import models
from videovault.clock import db_now, utcnow
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.models import Channel, Event, IdempotencyKey, OutboxMessage, Status, UploadPart, Video, Worker
from videovault.services.accounts import tokens
from videovault.services.core.access import Caller
from videovault.services.generation import orders
from videovault.services.maintenance.backup.restore import Adjusted
from videovault.services.maintenance.backup.save import save_backup
from videovault.services.transfer import lease, pipeline, scheduler

pytestmark = pytest.mark.thorough

SaveAndRestore = Callable[..., Adjusted]
UPLOAD: dict[str, Any] = {"upload_id": "elsewhere", "upload_source": {"total": 1}, "heartbeat_at": db_now()}


@pytest.fixture
def restored(backup_dir: Path, elsewhere: Elsewhere) -> SaveAndRestore:
    def save_and_restore(**settings: object) -> Adjusted:
        save_backup(backup_dir)
        elsewhere(**settings)
        return restore(backup_dir).adjusted

    return save_and_restore


@pytest.fixture(autouse=True)
def _a_bucket(store: Store) -> None:
    """An installation with a bucket and a key."""
    del store
    assert settings().installation


def test_running_transfer_restarts_from_its_source(
    anna: Caller, restored: SaveAndRestore, row: Row, server: MisbehavingServer
) -> None:
    url = server.serve("/video.mp4", ServerBehaviour(size=1000))
    key = f"videos/{anna.user_id}/x/1_video.mp4"
    video_id = insert_video(
        anna, Status.STORING, source_url=url, s3_key=key, bytes_done=500, reserved_bytes=9, **UPLOAD
    )
    with transaction() as session:
        session.add(UploadPart(video_id=video_id, number=1, size=1, etag="e", crc32="0"))
    assert restored(SOURCE_ALLOW_HOSTS=f"127.0.0.1:{server.port}").queued == 1
    video = row(video_id)
    assert (video.status, video.upload_id, video.heartbeat_at) == (Status.QUEUED, None, None)
    assert (video.bytes_done, video.reserved_bytes) == (0, 0)
    with reading() as session:
        assert not session.exec(select(UploadPart)).all()
    assert scheduler.next_queued() == video_id
    pipeline.produce(video_id, stopping=lambda: False)
    assert row(video_id).status == Status.READY


def test_transfer_without_its_source_fails_with_a_reason(
    anna: Caller, restored: SaveAndRestore, row: Row, server: MisbehavingServer
) -> None:
    key = f"videos/{anna.user_id}/x/1_video.mp4"
    url = f"{server.origin}/gone.mp4"
    video_id = insert_video(anna, Status.STORING, source_url=url, s3_key=key, **UPLOAD)
    restored(SOURCE_ALLOW_HOSTS=f"127.0.0.1:{server.port}")
    pipeline.produce(video_id, stopping=lambda: False)
    video = row(video_id)
    assert video.status == Status.FAILED
    assert video.error_message


@pytest.mark.parametrize("status", [Status.QUEUED, Status.FAILED, Status.DELETING])
def test_uploads_of_the_previous_store_are_discarded(
    anna: Caller, restored: SaveAndRestore, row: Row, status: Status
) -> None:
    video_id = insert_video(anna, status, s3_key="videos/a/b/c.mp4", upload_kept_until=utcnow(), **UPLOAD)
    restored()
    video = row(video_id)
    assert (video.status, video.upload_id, video.upload_source) == (status, None, None)
    assert (video.upload_kept_until, video.heartbeat_at) == (None, None)


def test_unsent_order_is_not_sent_automatically(anna: Caller, restored: SaveAndRestore, row: Row) -> None:
    """The order may have been sent and paid for after the backup."""
    video_id = insert_video(anna, Status.GENERATING, next_ask_at=utcnow())
    assert restored().not_ordered == 1
    video = row(video_id)
    assert (video.status, video.error_code) == (Status.FAILED, "RESTORED")
    assert not orders.send_order(video_id)
    assert scheduler.next_unrequested() is None


def test_ordered_video_waits_half_an_hour_more(anna: Caller, restored: SaveAndRestore, row: Row) -> None:
    long_ago = utcnow() - timedelta(days=3)
    late = insert_video(anna, Status.GENERATING, requested_at=long_ago, deadline_at=long_ago)
    later = utcnow() + timedelta(days=1)
    early = insert_video(anna, Status.GENERATING, requested_at=utcnow(), deadline_at=later)
    assert restored().awaited == 2
    orders.fail_overdue()
    assert row(late).status == Status.GENERATING
    assert row(late).requested_at == long_ago
    assert row(early).deadline_at == later


def test_notices_are_not_sent_again(anna: Caller, restored: SaveAndRestore) -> None:
    del anna
    with transaction() as session:
        for channel in Channel:
            session.add(OutboxMessage(kind="video.ready", channel=channel, video_id="v", payload={}))
    assert restored().notices == 2
    with reading() as session:
        left = session.exec(select(OutboxMessage)).all()
    assert [each.next_attempt_at for each in left] == [None, None]
    assert {each.last_error for each in left} == {
        "Not sent: a backup was restored, and the notice may have been sent after it was taken."
    }


def test_sessions_end_tokens_stay_and_workers_are_deregistered(
    anna: Caller, restored: SaveAndRestore
) -> None:
    token = tokens.create(anna, "program", "write").token
    lease.WorkerRegistration(4).beat()
    assert restored().sessions == 1
    assert tokens.authenticate(token).user_id == anna.user_id
    with reading() as session:
        assert not session.exec(select(models.Session)).all()
        assert not session.exec(select(Worker)).all()


def test_idempotent_request_in_progress_can_be_repeated_at_once(
    anna: Caller, restored: SaveAndRestore
) -> None:
    with transaction() as session:
        entry = IdempotencyKey(
            user_id=anna.user_id,
            endpoint="store",
            key="k",
            request_hash="h",
            lease_until=utcnow() + timedelta(hours=1),
        )
        session.add(entry)
    restored()
    with reading() as session:
        assert session.exec(select(IdempotencyKey)).one().lease_until <= utcnow()


def test_restore_is_recorded_as_an_event(anna: Caller, restored: SaveAndRestore) -> None:
    del anna
    restored()
    with reading() as session:
        event = session.exec(select(Event).order_by(col(Event.id).desc())).first()
    assert event
    assert event.kind == "restored"
    assert event.detail["takenAt"]


def test_backup_does_not_change_the_installation(anna: Caller, backup_dir: Path, row: Row) -> None:
    video_id = insert_video(anna, Status.STORING, upload_id="mine")
    save_backup(backup_dir)
    video = row(video_id)
    assert (video.status, video.upload_id) == (Status.STORING, "mine")
    with reading() as session:
        assert len(session.exec(select(Video)).all()) == 1
