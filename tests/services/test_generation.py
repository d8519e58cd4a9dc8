"""A script becomes an address, is asked for once, and every way the generator fails has an end."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fixtures.generator import Generator
from tests.fixtures.installation import Configure
from tests.services.conftest import SCRIPT, Row
from videovault.db import transaction
from videovault.errors import Conflict, InvalidInput, VideoNotFound
from videovault.models import Status, Video, now
from videovault.services import generation, pipeline, scripts
from videovault.services.access import Caller

Generating = Callable[[], Video]
BRIEF = {"topic": "Bread\nand butter", "avatar": "Anna", "company_name": "Brot"}


def nobody(_video_id: str) -> None:
    raise AssertionError("nothing new was to be handed to a worker")


def test_a_direct_answer_is_kept_before_anything_is_fetched(
    generator: Generator, generating: Generating, row: Row
) -> None:
    video = generating()
    generation.ask_generator(video.id)
    found = row(video.id)
    assert (found.status, found.source_url) == (Status.QUEUED, generator.video_url)
    assert found.s3_key
    assert found.s3_key.startswith(f"videos/{video.owner_id}/{video.id}/")


def test_the_generator_gets_the_guides_body_and_where_to_report(
    generator: Generator, generating: Generating
) -> None:
    video = generating()
    generation.ask_generator(video.id)
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
        generation.ask_generator(video.id)
    assert len(generator.requests) == 1


def test_processing_sets_a_deadline_from_the_estimated_time(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "processing"
    video = generating()
    generation.ask_generator(video.id)
    found = row(video.id)
    assert found.status == Status.GENERATING
    assert found.deadline_at
    assert found.deadline_at > now() + timedelta(minutes=29)


def test_a_refusal_fails_the_video_with_the_generators_own_words(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "refuse"
    video = generating()
    generation.ask_generator(video.id)
    found = row(video.id)
    assert (found.status, found.error_code) == (Status.FAILED, "GENERATION_FAILED")
    assert found.error_message


def test_a_timeout_after_the_request_was_sent_is_not_asked_again(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "hang"
    video = generating()
    generation.ask_generator(video.id)
    assert row(video.id).status == Status.GENERATING
    assert len(generator.requests) == 1


def test_a_broken_generator_is_asked_three_times_under_one_key_and_then_fails_the_video(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "break"
    video = generating()
    generation.ask_generator(video.id)
    assert row(video.id).status == Status.FAILED
    assert len(generator.idempotency_keys) == 3
    assert len(set(generator.idempotency_keys)) == 1


def test_a_new_attempt_has_a_new_key(generator: Generator, generating: Generating, anna: Caller) -> None:
    generator.mode = "refuse"
    video = generating()
    generation.ask_generator(video.id)
    pipeline.retry(anna, video.id, enqueue=generation.ask_generator)
    assert len(set(generator.idempotency_keys)) == 2


def test_a_render_that_is_overdue_fails_with_a_reason(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "processing"
    video = generating()
    generation.ask_generator(video.id)
    with transaction() as session:
        late = session.get(Video, video.id)
        assert late
        late.deadline_at = now() - timedelta(seconds=1)
    generation.fail_overdue()
    assert row(video.id).error_code == "GENERATION_TIMED_OUT"


@pytest.mark.usefixtures("generator")
def test_a_double_click_pays_once(anna: Caller) -> None:
    draft = scripts.write(anna, BRIEF)
    told: list[str] = []
    generation.request(anna, SCRIPT, draft.video_id, enqueue=told.append)
    generation.request(anna, SCRIPT, draft.video_id, enqueue=nobody)
    assert told == [draft.video_id]


@pytest.mark.usefixtures("generator")
def test_a_script_that_is_not_complete_changes_nothing(anna: Caller, row: Row) -> None:
    draft = scripts.write(anna, BRIEF)
    with pytest.raises(InvalidInput) as caught:
        generation.request(anna, SCRIPT | {"hook": " "}, draft.video_id, enqueue=nobody)
    assert list(caught.value.fields) == ["hook"]
    assert row(draft.video_id).status == Status.DRAFT


@pytest.mark.usefixtures("generator")
def test_somebody_elses_draft_cannot_be_continued(anna: Caller, bert: Caller) -> None:
    draft = scripts.write(anna, BRIEF)
    with pytest.raises(VideoNotFound):
        generation.request(bert, SCRIPT, draft.video_id, enqueue=nobody)


def test_without_a_generator_nothing_is_asked_for(anna: Caller, configure: Configure) -> None:
    configure(VIDEO_WEBHOOK_URL="")
    with pytest.raises(Conflict, match="VIDEO_WEBHOOK_URL"):
        generation.request(anna, SCRIPT, enqueue=nobody)
