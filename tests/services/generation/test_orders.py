"""A script becomes an address, is asked for once, and every way the generator fails has an end."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.services.conftest import SCRIPT, Row
from tests.support.generator import Generator, refusing_port
from tests.support.generator_modes import WITHOUT_NEWS
from tests.support.installation import Configure
from videovault.db import transaction
from videovault.errors import Conflict, InvalidInput, VideoNotFound
from videovault.gateways.webhook_reply import VideoReply
from videovault.models import Status, Video, utcnow
from videovault.services.core.access import Caller
from videovault.services.generation import callbacks, orders, scripts
from videovault.services.generation.callbacks import Report
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline, scheduler

Generating = Callable[[], Video]
BRIEF = {"topic": "Bread\nand butter", "avatar": "Anna", "company_name": "Brot"}


def nobody(_video_id: str) -> None:
    raise AssertionError("nothing new was to be handed to a worker")


def test_a_direct_answer_is_kept_before_anything_is_fetched(
    generator: Generator, generating: Generating, row: Row
) -> None:
    video = generating()
    orders.send_order(video.id)
    found = row(video.id)
    assert (found.status, found.source_url) == (Status.QUEUED, generator.video_url)
    assert found.s3_key
    assert found.s3_key.startswith(f"videos/{video.owner_id}/{video.id}/")


def test_the_generator_gets_the_guides_body_and_where_to_report(
    generator: Generator, generating: Generating
) -> None:
    video = generating()
    orders.send_order(video.id)
    asked = generator.requests[0]
    assert asked | SCRIPT == asked
    assert asked["email"] == "anna@example.com"
    assert (asked["videoId"], asked["userId"]) == (video.id, video.owner_id)
    assert asked["callbackUrl"].endswith("/api/auth/video/status")
    assert asked["callbackToken"]


def test_a_second_run_of_the_same_job_asks_nothing(generator: Generator, generating: Generating) -> None:
    generator.mode = "processing"
    video = generating()
    for _ in range(3):
        orders.send_order(video.id)
    assert len(generator.requests) == 1


def test_processing_sets_a_deadline_from_the_estimated_time(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "processing"
    video = generating()
    orders.send_order(video.id)
    found = row(video.id)
    assert found.status == Status.GENERATING
    assert found.deadline_at
    assert found.deadline_at > utcnow() + timedelta(minutes=29)


def test_a_refusal_fails_the_video_with_the_generators_own_words(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "refuse"
    video = generating()
    orders.send_order(video.id)
    found = row(video.id)
    assert (found.status, found.error_code) == (Status.FAILED, "GENERATION_FAILED")
    assert found.error_message


def test_a_new_attempt_has_a_new_key(generator: Generator, generating: Generating, anna: Caller) -> None:
    generator.mode = "refuse"
    video = generating()
    orders.send_order(video.id)
    pipeline.retry(anna, video.id, enqueue=orders.send_order)
    assert len(set(generator.idempotency_keys)) == 2


def test_a_render_that_is_overdue_fails_with_a_reason(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "processing"
    video = generating()
    orders.send_order(video.id)
    with transaction() as session:
        late = session.get(Video, video.id)
        assert late
        late.deadline_at = utcnow() - timedelta(seconds=1)
    orders.fail_overdue()
    assert row(video.id).error_code == "GENERATION_TIMED_OUT"


def later(video_id: str) -> None:
    """The time for the next question has come."""
    with transaction() as session:
        session.get_one(Video, video_id).next_ask_at = utcnow()


@pytest.mark.usefixtures("moto_s3")
def test_what_was_ordered_once_is_ready_at_the_end_whatever_the_answer_was(
    generator: Generator, generating: Generating, row: Row, configure: Configure
) -> None:
    configure(WEBHOOK_TIMEOUT_SECONDS=1)
    videos = {mode: generating() for mode in WITHOUT_NEWS}
    for mode, video in videos.items():
        generator.mode = mode
        for _ in range(2):
            orders.send_order(video.id)
        waits = row(video.id)
        assert (waits.status, bool(waits.deadline_at)) == (Status.GENERATING, True), mode
        assert orders.ORDERED_ONCE in str(waits.generator_note) or waits.unread_at, mode
    assert len(generator.requests) == len(WITHOUT_NEWS)
    assert set(generator.renders.values()) == {1}
    for order in generator.requests:
        caller = callbacks.generator_caller(order["callbackToken"], order["videoId"])
        report = Report(order["userId"], order["videoId"], "ready", generator.video_url)
        assert callbacks.apply(caller, report, enqueue=list).status == Status.QUEUED
        pipeline.produce(order["videoId"], stopping=lambda: False)
    for mode, video in videos.items():
        found = row(video.id)
        assert (found.status, found.generator_note) == (Status.READY, None), mode


def test_an_answer_that_cannot_be_understood_is_waited_for(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "malformed"
    video = generating()
    for _ in range(2):
        orders.send_order(video.id)
    assert row(video.id).status == Status.GENERATING
    assert set(generator.renders.values()) == {1}


def test_a_rejected_script_says_that_the_script_has_to_be_changed(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "rejected"
    video = generating()
    orders.send_order(video.id)
    found = row(video.id)
    assert (found.status, found.error_code) == (Status.FAILED, "GENERATION_REJECTED")
    assert found.error_message == (
        "The generator rejected the script: No swearing, please. Change the script, then try again."
    )


def test_a_failed_render_is_told_apart_from_a_rejected_script(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "failed"
    video = generating()
    orders.send_order(video.id)
    found = row(video.id)
    assert (found.error_code, found.error_message) == ("GENERATION_FAILED", "The render crashed.")


def test_a_generator_that_cannot_be_reached_fails_the_video(
    generator: Generator, generating: Generating, row: Row, configure: Configure
) -> None:
    with refusing_port() as port:
        configure(VIDEO_WEBHOOK_URL=f"http://127.0.0.1:{port}/video")
        video = generating()
        orders.send_order(video.id)
    assert (row(video.id).status, row(video.id).error_code) == (Status.FAILED, "WEBHOOK_FAILED")
    assert generator.requests == []


def test_a_busy_generator_is_asked_again_when_it_said_under_the_same_key(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.then("busy")
    video = generating()
    orders.send_order(video.id)
    waits = row(video.id)
    assert (waits.status, waits.requested_at) == (Status.GENERATING, None)
    assert waits.next_ask_at
    assert waits.next_ask_at > utcnow() + timedelta(minutes=5)  # 10 were asked for
    orders.send_order(video.id)
    assert len(generator.requests) == 1
    later(video.id)
    told: list[str] = []
    pipeline.request_next(enqueue=told.append)
    assert (row(video.id).status, told) == (Status.QUEUED, [video.id])
    assert len(set(generator.idempotency_keys)) == 1
    assert list(generator.renders.values()) == [1]


def test_the_repair_hands_a_put_off_video_out_when_its_time_has_come(
    generator: Generator, generating: Generating
) -> None:
    generator.then("busy")
    video = generating()
    orders.send_order(video.id)
    told: list[str] = []
    with transaction() as session:
        session.get_one(Video, video.id).updated_at = utcnow() - scheduler.STRANDED_AFTER
    repair.repair(enqueue=told.append)
    assert told == []
    later(video.id)
    repair.repair(enqueue=told.append)
    assert told == [video.id]


def test_a_generator_that_stays_busy_fails_the_video_in_the_end(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "busy"
    video = generating()
    for _ in range(10):
        later(video.id)
        orders.send_order(video.id)
    assert len(generator.requests) == 1 + len(orders.BUSY_RETRY_SECONDS)
    assert (row(video.id).status, row(video.id).error_code) == (Status.FAILED, "WEBHOOK_FAILED")
    assert generator.renders == {}


def test_a_video_that_nobody_has_asked_for_yet_has_no_deadline(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "processing"
    video = generating()
    assert row(video.id).deadline_at is None
    orders.send_order(video.id)
    assert row(video.id).deadline_at


def test_deadlines_are_thrice_the_estimate_and_half_an_hour_at_least() -> None:
    assert orders.render_timeout(1) == timedelta(minutes=30)
    assert orders.render_timeout(20) == timedelta(minutes=60)


def test_a_status_address_in_a_private_network_is_not_kept(
    generator: Generator, generating: Generating, row: Row
) -> None:
    del generator
    video = generating()
    asked = VideoReply("processing", status_url="http://10.0.0.1/status")
    orders.apply_reply(video, asked, why="a test")
    found = row(video.id)
    assert (found.status, found.status_url, found.next_ask_at) == (Status.GENERATING, None, None)
    assert found.deadline_at


@pytest.mark.usefixtures("generator")
def test_a_double_click_pays_once(anna: Caller) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    told: list[str] = []
    orders.request(anna, SCRIPT, draft.video_id, enqueue=told.append)
    orders.request(anna, SCRIPT, draft.video_id, enqueue=nobody)
    assert told == [draft.video_id]


@pytest.mark.usefixtures("generator")
def test_a_script_that_is_not_complete_changes_nothing(anna: Caller, row: Row) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    with pytest.raises(InvalidInput) as caught:
        orders.request(anna, SCRIPT | {"hook": " "}, draft.video_id, enqueue=nobody)
    assert list(caught.value.fields) == ["hook"]
    assert row(draft.video_id).status == Status.DRAFT


@pytest.mark.usefixtures("generator")
def test_somebody_elses_draft_cannot_be_continued(anna: Caller, bert: Caller) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    with pytest.raises(VideoNotFound):
        orders.request(bert, SCRIPT, draft.video_id, enqueue=nobody)


def test_without_a_generator_nothing_is_asked_for(anna: Caller, configure: Configure) -> None:
    configure(VIDEO_WEBHOOK_URL="")
    with pytest.raises(Conflict, match="VIDEO_WEBHOOK_URL"):
        orders.request(anna, SCRIPT, enqueue=nobody)
