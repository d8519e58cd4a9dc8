"""What pages show of a video and its progress."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.installation import Configure
from videovault.models import CopyState, Playback, Status, Video
from videovault.services.core.views import CopyView, Failure, Metadata, Progress, VideoView
from videovault.state import view_models
from videovault.state.view_models import Card, VideoProgress

MOMENT = datetime(2026, 1, 26, 10, 15, tzinfo=UTC)


def view(**values: Any) -> VideoView:
    given = {"video_id": "v", "title": "Bread", "status": "ready", "created_at": MOMENT, "updated_at": MOMENT}
    return VideoView(**given | values)


def test_ready_video_shows_its_length_and_size() -> None:
    card = Card.of(view(metadata=Metadata(duration=20.2, size=3_700_000)))
    assert (card.duration, card.size, card.details) == ("0:20", "3.7 MB", "0:20, 3.7 MB")
    assert card.created_at == "2026-01-26T10:15:00.000Z"


def test_video_without_metadata_shows_no_details() -> None:
    assert Card.of(view()).details == ""


def test_failed_video_says_why_and_has_no_size() -> None:
    failed = view(
        status="failed", metadata=Metadata(size=5), error=Failure(code="SOURCE_FAILED", message="Gone.")
    )
    assert (Card.of(failed).reason, Card.of(failed).size) == ("Gone.", "")


def test_failed_video_says_what_a_retry_costs(configure: Configure) -> None:
    failed = view(status="failed", error=Failure(code="SOURCE_FAILED", message="Gone."))
    regenerated = failed.model_copy(update={"retry": "generation"})
    further = failed.model_copy(update={"retry": "transfer"})
    configure(VIDEO_WEBHOOK_URL="http://127.0.0.1:9/video")
    assert "may use another credit" in Card.of(regenerated).retry_note
    assert "fetches the video again" in Card.of(further).retry_note
    assert "costs nothing" in Card.of(further).retry_note
    assert Card.of(view()).retry_note == ""


@pytest.mark.usefixtures("installation")
def test_the_built_in_studio_never_mentions_credits() -> None:
    failed = view(
        status="failed", error=Failure(code="GENERATION_FAILED", message="Gone."), retry="generation"
    )
    assert Card.of(failed).retry_note == "Retrying renders it again."


def test_failed_video_offers_its_retries() -> None:
    failed = view(status="failed", error=Failure(code="SOURCE_FAILED", message="Gone."))
    both = Card.of(failed.model_copy(update={"retries": ("transfer", "generation")}))
    assert (both.can_fetch, both.can_generate) == (True, True)
    assert (Card.of(failed).can_fetch, Card.of(failed).can_generate) == (False, False)


def test_failed_copy_says_why_and_can_be_retried() -> None:
    copy = CopyView(state=CopyState.FAILED, error="There is no room for it in the account.")
    measured = Metadata(video_codec="hevc", format="mp4", playback=Playback.LIMITED)
    failed = Card.of(view(metadata=measured, playable_copy=copy, retry="copy", retries=("copy",)))
    assert (
        "No copy could be made: There is no room for it in the account. Download it" in failed.playback_note
    )
    assert (failed.can_copy, failed.can_fetch, failed.retry_note) == (True, False, "")
    untold = view(metadata=measured, playable_copy=CopyView(state=CopyState.FAILED))
    assert "No copy could be made. Download it" in Card.of(untold).playback_note


def test_queued_video_says_that_its_file_is_not_there_yet() -> None:
    assert "generator" in VideoProgress.of(Progress(stage="queued", waits_for_file=True)).activity


def test_generating_without_an_estimate_shows_elapsed_time_only() -> None:
    work = VideoProgress.of(Progress(stage="generating", elapsed_seconds=75))
    assert (work.step, work.amount_done, work.remaining, work.percent) == (
        view_models.GENERATING,
        "1:15 elapsed",
        "",
        -1,
    )


def test_generating_with_an_estimate_shows_remaining_time() -> None:
    work = VideoProgress.of(Progress(stage="generating", elapsed_seconds=60, expected_seconds=240))
    assert (work.remaining, work.percent) == ("about 3 minutes left", 25)


def test_generating_that_is_late_is_never_done() -> None:
    work = VideoProgress.of(Progress(stage="generating", elapsed_seconds=300, expected_seconds=240))
    assert (work.remaining, work.percent) == ("Taking longer than expected", 99)


def test_generator_without_status_shows_its_note() -> None:
    note = "The service answered HTTP 524. We wait for its report."
    for expected in (None, 240):
        progress = Progress(stage="generating", elapsed_seconds=60, expected_seconds=expected, note=note)
        assert (VideoProgress.of(progress).activity, VideoProgress.of(progress).note) == (
            "Waiting for the generator",
            note,
        )
    assert VideoProgress.of(Progress(stage="generating")).note == ""


def test_queued_video_waits_for_its_turn() -> None:
    work = VideoProgress.of(Progress(stage="queued"))
    assert (work.step, work.activity) == (view_models.STORING, "Waiting for its turn to be stored")


def test_storing_shows_bytes_speed_and_remaining_time() -> None:
    progress = Progress(
        stage="storing",
        bytes_done=12_400_000,
        bytes_total=48_000_000,
        percent=25,
        bytes_per_second=3_100_000.0,
        seconds_left=11,
    )
    work = VideoProgress.of(progress)
    assert (work.amount_done, work.remaining, work.percent) == (
        "12.4 MB of 48.0 MB",
        "3.1 MB/s, about 11 seconds left",
        25,
    )


@pytest.mark.parametrize("rate", [0.0, 1e-9, 900.0])
def test_stalled_transfer_promises_no_time(rate: float) -> None:
    video = Video(
        id="v", owner_id="u", title="Bread", sealed_key="", status=Status.STORING, bytes_total=315_000_000
    )
    video.bytes_per_second = rate
    assert VideoProgress.of(Progress.of(video)).remaining == ""


def test_storing_of_unknown_size_counts_bytes() -> None:
    work = VideoProgress.of(Progress(stage="storing", bytes_done=2_000_000))
    assert (work.amount_done, work.remaining, work.percent) == ("2.0 MB", "", -1)


def test_last_byte_is_followed_by_checking() -> None:
    work = VideoProgress.of(
        Progress(stage="storing", bytes_done=5_000_000, bytes_total=5_000_000, percent=100)
    )
    assert work.activity == "Checking the stored video"
