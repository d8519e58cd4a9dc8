"""From a queued row to a stored video, and what follows each interruption."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.services.conftest import Row
from tests.support.generator import Generator
from tests.support.media import HEIGHT, SECONDS, WIDTH
from tests.support.videos import ignore_job, insert_video, never, set_columns
from videovault.clock import utcnow
from videovault.errors import Conflict, RateLimited
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.services.core import rate_limits
from videovault.services.core.access import Caller
from videovault.services.core.lifecycle import LEASE_SECONDS
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline, scheduler
from videovault.services.videos import gallery

Generating = Callable[[], Video]


@pytest.mark.parametrize(
    ("limit", "purpose", "limited"),
    [
        (rate_limits.GENERATIONS, "generations", None),
        (rate_limits.STORES, "stores", "https://films.example/a.mp4"),
    ],
)
def test_a_retry_counts_towards_the_limit_of_what_it_does(
    anna: Caller, limit: rate_limits.Windows, purpose: str, limited: str | None
) -> None:
    failed = {
        source: insert_video(anna, Status.FAILED, hook="Look", source_url=source)
        for source in (None, "https://films.example/a.mp4")
    }
    for _ in range(limit[0].amount):
        rate_limits.check(limit, purpose, anna.user_id)
    with pytest.raises(RateLimited):
        pipeline.retry(anna, failed.pop(limited), enqueue=ignore_job)
    [other] = failed.values()
    assert pipeline.retry(anna, other, enqueue=ignore_job).status == "processing"


def test_one_run_takes_a_video_all_the_way(
    generator: Generator, generating: Generating, moto_s3: Storage, row: Row, mp4: bytes
) -> None:
    del generator
    video = generating()
    pipeline.produce(video.id, stopping=never)
    found = row(video.id)
    assert (found.status, found.size, found.format) == (Status.READY, len(mp4), "mp4")
    assert (found.duration, found.width, found.height) == (SECONDS, WIDTH, HEIGHT)
    assert {key.rsplit("/", 1)[0] for key in moto_s3.keys()} == {f"videos/{video.owner_id}/{video.id}"}  # noqa: SIM118 - not a dict
    stored = moto_s3.info(str(found.s3_key))
    assert stored
    assert stored.size == len(mp4)


@pytest.mark.usefixtures("moto_s3")
def test_a_second_run_of_a_finished_video_does_nothing(
    generator: Generator, generating: Generating, row: Row
) -> None:
    video = generating()
    pipeline.produce(video.id, stopping=never)
    before = row(video.id)
    pipeline.produce(video.id, stopping=never)
    assert row(video.id).model_dump() == before.model_dump()
    assert len(generator.requests) == 1


def test_a_web_page_fails_with_a_message_and_leaves_nothing(
    generator: Generator, anna: Caller, moto_s3: Storage, row: Row
) -> None:
    stored = gallery.store_link(anna, generator.file("page.mp4"), anna.email, enqueue=ignore_job)
    pipeline.produce(stored.video_id, stopping=never)
    found = row(stored.video_id)
    assert (found.status, found.error_code) == (Status.FAILED, "SOURCE_FAILED")
    assert "web page" in str(found.error_message)
    assert list(moto_s3.keys()) == []


@pytest.mark.usefixtures("moto_s3")
def test_a_stopping_worker_returns_the_video_to_the_queue(
    generator: Generator, anna: Caller, row: Row
) -> None:
    stored = gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore_job)
    pipeline.produce(stored.video_id, stopping=lambda: True)
    assert row(stored.video_id).status == Status.QUEUED
    pipeline.produce(stored.video_id, stopping=never)
    assert row(stored.video_id).status == Status.READY


@pytest.mark.usefixtures("moto_s3")
def test_a_dead_workers_video_is_enqueued_again(generator: Generator, anna: Caller, row: Row) -> None:
    stored = gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore_job)
    silent = utcnow() - timedelta(seconds=LEASE_SECONDS + 1)
    set_columns(stored.video_id, status=Status.STORING, heartbeat_at=silent)
    repair.repair(enqueue=ignore_job)
    assert row(stored.video_id).status == Status.QUEUED
    set_columns(stored.video_id, updated_at=silent)
    enqueued: list[str] = []
    repair.repair(enqueue=enqueued.append)
    assert enqueued == [stored.video_id]


def test_a_living_worker_keeps_its_video(generator: Generator, anna: Caller, row: Row) -> None:
    stored = gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore_job)
    set_columns(stored.video_id, status=Status.STORING, heartbeat_at=utcnow())
    repair.repair(enqueue=ignore_job)
    assert row(stored.video_id).status == Status.STORING


@pytest.mark.usefixtures("generator")
def test_a_request_missing_in_the_queue_is_enqueued(generating: Generating) -> None:
    video = generating()
    set_columns(video.id, updated_at=utcnow() - scheduler.STRANDED_AFTER)
    enqueued: list[str] = []
    repair.repair(enqueue=enqueued.append)
    assert enqueued == [video.id]


@pytest.mark.usefixtures("moto_s3")
def test_a_retry_uses_the_url_and_does_not_render_again(
    generator: Generator, generating: Generating, anna: Caller, row: Row
) -> None:
    video = generating()
    set_columns(video.id, status=Status.FAILED, source_url=generator.video_url, s3_key="videos/a/b/1_c.mp4")
    pipeline.retry(anna, video.id, enqueue=lambda one: pipeline.produce(one, stopping=never))
    assert row(video.id).status == Status.READY
    assert generator.requests == []


@pytest.mark.usefixtures("generator", "moto_s3")
def test_only_failed_videos_are_retried_and_only_those_in_work_cancelled(
    generating: Generating, anna: Caller
) -> None:
    video = generating()
    with pytest.raises(Conflict):
        pipeline.retry(anna, video.id, enqueue=ignore_job)
    pipeline.produce(video.id, stopping=never)
    with pytest.raises(Conflict):
        pipeline.cancel(anna, video.id)


@pytest.mark.usefixtures("moto_s3")
def test_a_bug_fails_the_video_with_a_reason_instead_of_looping(
    generator: Generator, anna: Caller, row: Row
) -> None:
    stored = gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore_job)

    def broken() -> bool:
        raise RuntimeError("a fault of our own")

    pipeline.produce(stored.video_id, stopping=broken)
    found = row(stored.video_id)
    assert (found.status, found.error_code) == (Status.FAILED, "INTERNAL_ERROR")
    assert "a fault of our own" not in str(found.error_message)


@pytest.mark.usefixtures("moto_s3")
def test_a_bug_does_not_fail_a_later_attempt_of_another_worker(
    generator: Generator, anna: Caller, row: Row
) -> None:
    stored = gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore_job)

    def late_and_broken() -> bool:
        set_columns(stored.video_id, status=Status.QUEUED, heartbeat_at=None)
        assert scheduler.claim()
        raise RuntimeError("a fault of our own")

    pipeline.produce(stored.video_id, stopping=late_and_broken)
    found = row(stored.video_id)
    assert (found.status, found.error_code) == (Status.STORING, None)
