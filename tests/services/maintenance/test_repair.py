"""Repair recovers every state that a crash can leave, also concurrently, and a failed step stops no other."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlmodel import col, select

from tests.services.conftest import Row
from tests.support.generator import Generator
from tests.support.videos import insert_video
from videovault import models
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import StorageError
from videovault.gateways.storage import Description, Storage
from videovault.models import Event, Status, UploadPart, Video
from videovault.services.accounts import accounts, sessions
from videovault.services.core.access import Caller
from videovault.services.core.lifecycle import LEASE_SECONDS
from videovault.services.maintenance import repair

LONG_AGO = timedelta(seconds=LEASE_SECONDS + 5)


def test_failed_step_does_not_stop_the_others() -> None:
    taken: list[str] = []

    def postponed() -> None:
        raise StorageError("S3 could not be reached.", retryable=True)

    def failing() -> None:
        raise RuntimeError

    repair.run_all(postponed, lambda: taken.append("second"), failing, lambda: taken.append("last"))
    assert taken == ["second", "last"]


def test_unreachable_queue_does_not_stop_the_other_steps(anna: Caller, moto_s3: Storage) -> None:
    del moto_s3
    insert_video(anna, Status.QUEUED, ago=60)
    to_delete = insert_video(anna, Status.DELETING)

    def broken(_video_id: str) -> None:
        raise OSError

    repair.repair(enqueue=broken)
    with reading() as session:
        assert session.get(Video, to_delete) is None


def test_expired_sessions_are_purged_and_others_stay(anna: Caller) -> None:
    token = accounts.login("anna@example.com", "correct horse").token
    with transaction() as session:
        for found in session.exec(select(models.Session)):
            found.expires_at = utcnow() - timedelta(seconds=1)
    living = accounts.login("anna@example.com", "correct horse").token
    sessions.purge()
    with reading() as session:
        assert len(session.exec(select(models.Session)).all()) == 1
    assert token != living
    assert accounts.authenticate(living) == anna


@pytest.mark.usefixtures("generator")
def test_concurrent_repairs_repair_once(
    database: str, generator: Generator, moto_s3: Storage, row: Row
) -> None:
    del database
    anna = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    dead = insert_video(anna, Status.STORING, ago=60, heartbeat_at=utcnow() - LONG_AGO, reserved_bytes=5)
    late = insert_video(
        anna, Status.GENERATING, ago=60, requested_at=utcnow() - LONG_AGO, deadline_at=utcnow() - LONG_AGO
    )
    forgotten = insert_video(anna, Status.QUEUED, ago=60, source_url=generator.video_url)
    cancelled = _with_upload(anna, Status.FAILED, moto_s3)
    kept = _with_upload(anna, Status.FAILED, moto_s3, upload_kept_until=utcnow() + LONG_AGO)
    half_cleared = _with_upload(anna, Status.FAILED, moto_s3, heartbeat_at=utcnow() - LONG_AGO)
    to_delete = [_with_upload(anna, Status.DELETING, moto_s3) for _ in range(5)]
    held = insert_video(anna, Status.DELETING, heartbeat_at=utcnow())
    together, enqueued = Barrier(2), list[str]()

    def run(_machine: int) -> None:
        together.wait()
        repair.repair(enqueue=enqueued.append)
        repair.clean_up()

    with ThreadPoolExecutor(2) as machines:
        list(machines.map(run, range(2)))

    assert (row(dead).status, row(dead).reserved_bytes) == (Status.QUEUED, 0)
    assert (row(late).status, row(late).error_code) == (Status.FAILED, "GENERATION_TIMED_OUT")
    assert forgotten in enqueued
    for cleared in (cancelled, half_cleared):
        assert (row(cleared).upload_id, row(cleared).heartbeat_at) == (None, None)
    assert row(held).status == Status.DELETING
    assert [each.upload_id for each in moto_s3.uploads()] == [row(kept).upload_id]
    assert list(moto_s3.keys()) == []
    with reading() as session:
        assert {one.video_id for one in session.exec(select(UploadPart))} == {kept}
        assert not session.exec(select(Video).where(col(Video.id).in_(to_delete))).all()
        happened = [(event.video_id, event.kind) for event in session.exec(select(Event))]
    expected = [(None, "register"), (dead, "status"), (late, "status"), (late, "generation_failed")]
    assert Counter(happened) == Counter([*expected, *((one, "deleted") for one in to_delete)])


def _with_upload(owner: Caller, status: Status, bucket: Storage, **values: Any) -> str:
    """A video with an unfinished upload of one part, and an object from a superseded attempt."""
    video_id = insert_video(owner, status, **values)
    key = f"videos/{owner.user_id}/{video_id}/1_a.mp4"
    upload_id = bucket.start_upload(key, Description("video/mp4"))
    if status == Status.DELETING or "heartbeat_at" in values:
        bucket.put(key, b"late", Description("video/mp4"))
    with transaction() as session:
        video = session.get_one(Video, video_id)
        video.s3_key, video.upload_id, video.upload_source = key, upload_id, {}
        session.add(UploadPart(video_id=video_id, number=1, size=1, etag="e", crc32="00000000"))
    return video_id
