"""Reports come twice, late, early and forged; each has one defined outcome."""

from collections.abc import Callable

import pytest

from tests.fixtures.generator import Generator
from tests.services.conftest import Row
from videovault import security
from videovault.errors import Conflict, InvalidInput, NotSignedIn, VideoNotFound
from videovault.models import Status, Video
from videovault.services import callbacks, generation, pipeline, scripts
from videovault.services.access import Caller
from videovault.services.callbacks import Report
from videovault.services.views import Metadata

Generating = Callable[[], Video]
URL = "https://generator.example/video.mp4"


@pytest.fixture
def waiting(generator: Generator, generating: Generating) -> Video:
    """A video that its generator works on."""
    generator.mode = "processing"
    video = generating()
    generation.ask_generator(video.id)
    return video


def said(video: Video, status: str, *, video_url: str = "", error: str = "") -> Report:
    return Report(video.owner_id, video.id, status, video_url, error=error)


def by_generator(video: Video) -> Caller:
    return callbacks.generator(security.callback_token(video.id), video.id)


def test_ready_with_an_address_begins_storing(waiting: Video, row: Row) -> None:
    told: list[str] = []
    view = callbacks.report(by_generator(waiting), said(waiting, "ready", video_url=URL), enqueue=told.append)
    assert view.status == "processing"
    assert (row(waiting.id).status, row(waiting.id).source_url) == (Status.QUEUED, URL)
    assert told == [waiting.id]


def test_the_same_callback_twice_changes_nothing_more(waiting: Video, row: Row) -> None:
    for _ in range(2):
        callbacks.report(by_generator(waiting), said(waiting, "ready", video_url=URL), enqueue=list)
    assert row(waiting.id).status == Status.QUEUED


def test_a_callback_before_the_webhook_has_answered_is_welcome(
    generator: Generator, generating: Generating, row: Row
) -> None:
    video = generating()
    callbacks.report(by_generator(video), said(video, "ready", video_url=URL), enqueue=lambda _: None)
    generation.ask_generator(video.id)
    assert row(video.id).source_url == URL
    assert generator.requests == []


def test_a_failure_keeps_its_reason(waiting: Video, row: Row) -> None:
    callbacks.report(
        by_generator(waiting), said(waiting, "failed", error="No\nvoice"), enqueue=lambda _: None
    )
    assert (row(waiting.id).status, row(waiting.id).error_message) == (Status.FAILED, "No voice")


def test_a_video_that_comes_after_its_failure_is_still_taken(waiting: Video, row: Row) -> None:
    callbacks.report(by_generator(waiting), said(waiting, "failed"), enqueue=lambda _: None)
    callbacks.report(by_generator(waiting), said(waiting, "ready", video_url=URL), enqueue=lambda _: None)
    assert row(waiting.id).status == Status.QUEUED


def test_a_video_that_comes_after_cancelling_is_not(waiting: Video, anna: Caller, row: Row) -> None:
    pipeline.cancel(anna, waiting.id)
    callbacks.report(by_generator(waiting), said(waiting, "ready", video_url=URL), enqueue=lambda _: None)
    assert row(waiting.id).error_code == "CANCELLED"


def test_still_processing_pushes_the_deadline_out(waiting: Video, row: Row) -> None:
    before = row(waiting.id).deadline_at
    callbacks.report(by_generator(waiting), said(waiting, "processing"), enqueue=lambda _: None)
    after = row(waiting.id).deadline_at
    assert before
    assert after
    assert after > before


def test_ready_without_an_address_or_an_object_is_refused(waiting: Video) -> None:
    with pytest.raises(Conflict):
        callbacks.report(by_generator(waiting), said(waiting, "ready"), enqueue=lambda _: None)


def test_metadata_fills_only_what_was_not_measured(waiting: Video, row: Row) -> None:
    told = Metadata(duration=120, format="mp4")
    report = Report(waiting.owner_id, waiting.id, "processing", metadata=told)
    callbacks.report(by_generator(waiting), report, enqueue=lambda _: None)
    again = Report(waiting.owner_id, waiting.id, "processing", metadata=Metadata(duration=7))
    callbacks.report(by_generator(waiting), again, enqueue=lambda _: None)
    assert (row(waiting.id).duration, row(waiting.id).format) == (120, "mp4")


@pytest.mark.parametrize("status", ["", "done", "deleting", "READY"])
def test_an_unknown_status_is_refused(waiting: Video, status: str) -> None:
    with pytest.raises(InvalidInput):
        callbacks.report(by_generator(waiting), said(waiting, status), enqueue=lambda _: None)


def test_a_token_is_good_for_its_own_video_only(waiting: Video) -> None:
    with pytest.raises(NotSignedIn):
        callbacks.generator(security.callback_token("video_1_other"), waiting.id)
    with pytest.raises(NotSignedIn):
        callbacks.generator("forged", waiting.id)
    with pytest.raises(VideoNotFound):
        callbacks.generator(security.callback_token("video_1_gone"), "video_1_gone")


def test_nobody_reports_on_somebody_elses_video(waiting: Video, bert: Caller, row: Row) -> None:
    with pytest.raises(VideoNotFound):
        callbacks.report(bert, Report(bert.user_id, waiting.id, "failed"), enqueue=lambda _: None)
    assert row(waiting.id).status == Status.GENERATING


@pytest.mark.usefixtures("generator")
def test_a_draft_cannot_be_reported_on(anna: Caller) -> None:
    draft = scripts.write(anna, {"topic": "Bread", "avatar": "Anna"})
    with pytest.raises(Conflict):
        callbacks.report(anna, Report(anna.user_id, draft.video_id, "failed"), enqueue=lambda _: None)
