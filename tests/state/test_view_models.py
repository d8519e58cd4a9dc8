"""What pages show of a video and of the work on it."""

from datetime import UTC, datetime
from typing import Any

from videovault.models import CopyState, Playback
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


def test_video_that_nobody_could_measure_shows_nothing_made_up() -> None:
    assert Card.of(view()).details == ""


def test_failed_video_says_why_and_has_no_size() -> None:
    failed = view(
        status="failed", metadata=Metadata(size=5), error=Failure(code="SOURCE_FAILED", message="Gone.")
    )
    assert (Card.of(failed).reason, Card.of(failed).size) == ("Gone.", "")


def test_failed_video_says_what_trying_again_costs() -> None:
    failed = view(status="failed", error=Failure(code="SOURCE_FAILED", message="Gone."))
    regenerated = failed.model_copy(update={"retry": "generation"})
    further = failed.model_copy(update={"retry": "transfer"})
    assert "may charge for" in Card.of(regenerated).again
    assert "continues where it stopped" in Card.of(further).again
    assert "costs nothing" in Card.of(further).again
    assert Card.of(view()).again == ""


def test_failed_video_offers_its_ways_on() -> None:
    failed = view(status="failed", error=Failure(code="SOURCE_FAILED", message="Gone."))
    both = Card.of(failed.model_copy(update={"retries": ("transfer", "generation")}))
    assert (both.can_fetch, both.can_generate) == (True, True)
    assert (Card.of(failed).can_fetch, Card.of(failed).can_generate) == (False, False)


def test_a_copy_that_could_not_be_made_says_why_and_can_be_asked_for_again() -> None:
    copy = CopyView(state=CopyState.FAILED, error="There is no room for it in the account.")
    measured = Metadata(video_codec="hevc", format="mp4", playback=Playback.LIMITED)
    failed = Card.of(view(metadata=measured, playable_copy=copy, retry="copy", retries=("copy",)))
    assert "No copy could be made: There is no room for it in the account. Download it" in failed.plays
    assert (failed.can_copy, failed.can_fetch, failed.again) == (True, False, "")
    untold = view(metadata=measured, playable_copy=CopyView(state=CopyState.FAILED))
    assert "No copy could be made. Download it" in Card.of(untold).plays


def test_queued_video_says_that_its_file_is_not_there_yet() -> None:
    assert "generator" in VideoProgress.of(Progress(stage="queued", waits_for_file=True)).doing


def test_generating_of_unknown_length_tells_the_time_only() -> None:
    work = VideoProgress.of(Progress(stage="generating", elapsed_seconds=75))
    assert (work.step, work.so_far, work.pace, work.percent) == (
        view_models.GENERATING,
        "1:15 so far",
        "",
        -1,
    )


def test_generating_of_expected_length_tells_what_is_left() -> None:
    work = VideoProgress.of(Progress(stage="generating", elapsed_seconds=60, expected_seconds=240))
    assert (work.pace, work.percent) == ("about 3 minutes left", 25)


def test_generating_that_is_late_is_never_done() -> None:
    work = VideoProgress.of(Progress(stage="generating", elapsed_seconds=300, expected_seconds=240))
    assert (work.pace, work.percent) == ("Longer than expected, still waiting", 99)


def test_a_generator_without_news_is_told_of_in_a_plain_sentence() -> None:
    note = "The service answered HTTP 524. We wait for its report."
    for expected in (None, 240):
        progress = Progress(stage="generating", elapsed_seconds=60, expected_seconds=expected, note=note)
        assert (VideoProgress.of(progress).doing, VideoProgress.of(progress).note) == (
            "Waiting for the generator",
            note,
        )
    assert VideoProgress.of(Progress(stage="generating")).note == ""


def test_queued_video_waits_for_its_turn() -> None:
    work = VideoProgress.of(Progress(stage="queued"))
    assert (work.step, work.doing) == (view_models.STORING, "Waiting for its turn to be stored")


def test_storing_tells_bytes_speed_and_time_left() -> None:
    progress = Progress(
        stage="storing",
        bytes_done=12_400_000,
        bytes_total=48_000_000,
        percent=25,
        bytes_per_second=3_100_000.0,
        seconds_left=11,
    )
    work = VideoProgress.of(progress)
    assert (work.so_far, work.pace, work.percent) == (
        "12.4 MB of 48.0 MB",
        "3.1 MB/s, about 11 seconds left",
        25,
    )


def test_storing_of_unknown_size_counts_bytes() -> None:
    work = VideoProgress.of(Progress(stage="storing", bytes_done=2_000_000))
    assert (work.so_far, work.pace, work.percent) == ("2.0 MB", "", -1)


def test_last_byte_is_not_the_end() -> None:
    work = VideoProgress.of(
        Progress(stage="storing", bytes_done=5_000_000, bytes_total=5_000_000, percent=100)
    )
    assert work.doing == "Checking the stored video"
