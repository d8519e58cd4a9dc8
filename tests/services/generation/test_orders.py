"""An order becomes a URL and is sent once, and every failure of the generator ends."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.services.conftest import SCRIPT, Row
from tests.support.generator import Generator, refusing_port
from tests.support.generator_modes import WITHOUT_NEWS, Mode
from tests.support.installation import Configure
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Conflict, InvalidInput, VideoNotFound
from videovault.gateways.webhook_reply import VideoReply
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.generation import callbacks, order_lease, orders, scripts
from videovault.services.generation.callbacks import Report
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline, scheduler

Generating = Callable[[], Video]
Ordered = Callable[..., Video]
BRIEF = {"topic": "Bread\nand butter", "avatar": "Anna", "company_name": "Brot"}


def refuse_job(_video_id: str) -> None:
    raise AssertionError("nothing new was to be enqueued")


@pytest.fixture
def ordered(generator: Generator, generating: Generating, row: Row) -> Ordered:
    """Orders a video from a generator in this mode, and returns its row afterwards."""

    def order(mode: Mode = "direct") -> Video:
        generator.mode = mode
        video = generating()
        orders.send_order(video.id)
        return row(video.id)

    return order


def test_a_url_in_the_response_is_stored_before_the_fetch(ordered: Ordered, generator: Generator) -> None:
    video = ordered()
    assert (video.status, video.source_url) == (Status.QUEUED, generator.video_url)
    assert video.s3_key
    assert video.s3_key.startswith(f"videos/{video.owner_id}/{video.id}/")


def test_the_order_has_the_documented_body_and_callback(ordered: Ordered, generator: Generator) -> None:
    video = ordered()
    order = generator.requests[0]
    assert order | SCRIPT == order
    assert order["email"] == "anna@example.com"
    assert (order["videoId"], order["userId"]) == (video.id, video.owner_id)
    assert order["callbackUrl"].endswith("/api/auth/video/status")
    assert order["callbackToken"]


@pytest.mark.parametrize("mode", ["processing", "malformed"])
def test_a_second_run_of_the_same_job_sends_nothing(
    ordered: Ordered, generator: Generator, row: Row, mode: Mode
) -> None:
    """Also if the reply cannot be understood: the video waits."""
    video = ordered(mode)
    for _ in range(2):
        orders.send_order(video.id)
    assert row(video.id).status == Status.GENERATING
    assert (len(generator.requests), set(generator.renders.values())) == (1, {1})


def test_the_deadline_runs_from_the_order_and_follows_the_estimate(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "processing"
    video = generating()
    assert row(video.id).deadline_at is None
    orders.send_order(video.id)
    found = row(video.id)
    assert found.status == Status.GENERATING
    assert found.deadline_at
    assert found.deadline_at > utcnow() + timedelta(minutes=29)


@pytest.mark.parametrize(
    ("mode", "code", "message"),
    [
        ("refuse", "GENERATION_FAILED", ""),
        ("failed", "GENERATION_FAILED", "The render crashed."),
        (
            "rejected",
            "GENERATION_REJECTED",
            "The generator rejected the script: No swearing, please. Change the script, then try again.",
        ),
    ],
)
def test_a_failure_has_the_generators_message(ordered: Ordered, mode: Mode, code: str, message: str) -> None:
    video = ordered(mode)
    assert (video.status, video.error_code) == (Status.FAILED, code)
    assert video.error_message
    assert video.error_message == (message or video.error_message)


def test_a_new_attempt_has_a_new_key(ordered: Ordered, generator: Generator, anna: Caller) -> None:
    pipeline.retry(anna, ordered("refuse").id, enqueue=orders.send_order)
    assert len(set(generator.idempotency_keys)) == 2


def test_an_overdue_render_fails_with_a_reason(waiting: Video, row: Row) -> None:
    with transaction() as session:
        session.get_one(Video, waiting.id).deadline_at = utcnow() - timedelta(seconds=1)
    orders.fail_overdue()
    assert row(waiting.id).error_code == "GENERATION_TIMED_OUT"


def make_due(video_id: str) -> None:
    """Let the time of the next attempt come."""
    with transaction() as session:
        session.get_one(Video, video_id).next_ask_at = utcnow()


@pytest.mark.usefixtures("moto_s3", "fixed_probe")
def test_an_order_without_a_usable_reply_is_not_repeated_and_completes(
    generator: Generator, generating: Generating, row: Row, configure: Configure
) -> None:
    configure(WEBHOOK_TIMEOUT_SECONDS=1)
    videos = {mode: generating() for mode in WITHOUT_NEWS}
    for mode, video in videos.items():
        generator.mode = mode
        for _ in range(2):
            orders.send_order(video.id)
        waiting = row(video.id)
        assert (waiting.status, bool(waiting.deadline_at)) == (Status.GENERATING, True), mode
        assert order_lease.ORDERED_ONCE in str(waiting.generator_note) or waiting.unread_at, mode
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


def test_an_unreachable_generator_fails_the_video(
    ordered: Ordered, generator: Generator, configure: Configure
) -> None:
    with refusing_port() as port:
        configure(VIDEO_WEBHOOK_URL=f"http://127.0.0.1:{port}/video")
        video = ordered()
    assert (video.status, video.error_code) == (Status.FAILED, "WEBHOOK_FAILED")
    assert generator.requests == []


def test_a_busy_generator_gets_the_same_order_again_after_its_retry_after(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.then("busy")
    video = generating()
    orders.send_order(video.id)
    waiting = row(video.id)
    assert (waiting.status, waiting.requested_at) == (Status.GENERATING, None)
    assert waiting.next_ask_at
    assert waiting.next_ask_at > utcnow() + timedelta(minutes=5)  # 10 were asked for
    orders.send_order(video.id)
    assert len(generator.requests) == 1
    make_due(video.id)
    enqueued: list[str] = []
    pipeline.request_next(enqueue=enqueued.append)
    assert (row(video.id).status, enqueued) == (Status.QUEUED, [video.id])
    assert len(set(generator.idempotency_keys)) == 1
    assert list(generator.renders.values()) == [1]


def test_repair_enqueues_a_postponed_order_when_it_is_due(
    generator: Generator, generating: Generating
) -> None:
    generator.then("busy")
    video = generating()
    orders.send_order(video.id)
    enqueued: list[str] = []
    with transaction() as session:
        session.get_one(Video, video.id).updated_at = utcnow() - scheduler.STRANDED_AFTER
    repair.repair(enqueue=enqueued.append)
    assert enqueued == []
    make_due(video.id)
    repair.repair(enqueue=enqueued.append)
    assert enqueued == [video.id]


def test_a_generator_that_stays_busy_fails_the_video(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "busy"
    video = generating()
    for _ in range(10):
        make_due(video.id)
        orders.send_order(video.id)
    assert len(generator.requests) == 1 + len(orders.BUSY_RETRY_SECONDS)
    assert (row(video.id).status, row(video.id).error_code) == (Status.FAILED, "WEBHOOK_FAILED")
    assert generator.renders == {}


def test_deadlines_are_three_times_the_estimate_but_at_least_half_an_hour() -> None:
    assert orders.render_timeout(1) == timedelta(minutes=30)
    assert orders.render_timeout(20) == timedelta(minutes=60)


def test_a_status_url_in_a_private_network_is_dropped(
    generator: Generator, generating: Generating, row: Row
) -> None:
    del generator
    video = generating()
    reply = VideoReply("processing", status_url="http://10.0.0.1/status")
    orders.apply_reply(video, reply, why="a test")
    found = row(video.id)
    assert (found.status, found.status_url, found.next_ask_at) == (Status.GENERATING, None, None)
    assert found.deadline_at


@pytest.mark.usefixtures("generator")
def test_a_double_click_pays_once(anna: Caller) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    enqueued: list[str] = []
    orders.request(anna, SCRIPT, draft.video_id, enqueue=enqueued.append)
    orders.request(anna, SCRIPT, draft.video_id, enqueue=refuse_job)
    assert enqueued == [draft.video_id]


@pytest.mark.usefixtures("generator")
def test_an_incomplete_script_changes_nothing(anna: Caller, row: Row) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    with pytest.raises(InvalidInput) as caught:
        orders.request(anna, SCRIPT | {"hook": " "}, draft.video_id, enqueue=refuse_job)
    assert list(caught.value.fields) == ["hook"]
    assert row(draft.video_id).status == Status.DRAFT


@pytest.mark.usefixtures("generator")
def test_people_cannot_order_other_peoples_drafts(anna: Caller, bert: Caller) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    with pytest.raises(VideoNotFound):
        orders.request(bert, SCRIPT, draft.video_id, enqueue=refuse_job)


def test_without_a_generator_nothing_can_be_ordered(anna: Caller, configure: Configure) -> None:
    configure(VIDEO_WEBHOOK_URL="")
    with pytest.raises(Conflict, match="VIDEO_WEBHOOK_URL"):
        orders.request(anna, SCRIPT, enqueue=refuse_job)
