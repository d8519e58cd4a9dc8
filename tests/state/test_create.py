"""The brief and the modal, from the first word to the finished video."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server, Tab
from tests.support.database_outage import database_away
from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault import worker
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import DatabaseUnavailable
from videovault.models import Status, Video
from videovault.state import create, session
from videovault.state.create import CreateState
from videovault.state.session import SessionState

BRIEF = {"topic": "Bread at night", "company_name": "Brot & Söhne", "avatar": "Sofia"}
GONE = "https://films.example/gone.mp4?X-Amz-Signature=1"
SCRIPT = {"hook": "Do you know?", "body": "We bake at night.", "conclusion": "Come by."}


@pytest.fixture
def ada(server: Server, person: Callable[[str], Person]) -> Tab:
    return server.tab(person("ada").token)


@pytest.fixture
def drafting(ada: Tab, configure: Configure) -> Tab:
    """A tab with an empty draft in its modal."""
    configure(SCRIPT_WEBHOOK_URL="", VIDEO_WEBHOOK_URL="http://127.0.0.1:9/video")
    ada.send(CreateState, "write_script", form=BRIEF)
    return ada


def jobs() -> list[str]:
    return [task.args[0] for task in worker.queue().huey.pending()]


def test_brief_becomes_a_script_in_the_modal(ada: Tab, generator: Generator) -> None:
    generator.script = SCRIPT
    ada.send(CreateState, "write_script", form=BRIEF)
    shown = ada.sees(CreateState)
    assert (shown.stage, shown.parts, shown.waiting_for) == ("script", SCRIPT, "")
    assert generator.requests[0]["company_name"] == "Brot & Söhne"


def test_missing_topic_stands_beside_the_field_which_gets_the_focus(ada: Tab, generator: Generator) -> None:
    ada.send(CreateState, "write_script", form={**BRIEF, "topic": "  "})
    assert ada.sees(SessionState).errors == {"topic": "Say what the video is about."}
    focused = [event.payload for event in ada.server.received.events[ada.token] if event.name == "_set_focus"]
    assert focused == [{"ref": "ref_topic"}]
    assert (ada.sees(CreateState).stage, generator.requests) == ("", [])


def test_webhook_error_is_shown_at_the_form(ada: Tab, generator: Generator) -> None:
    generator.script_mode = "nonsense"
    ada.send(CreateState, "write_script", form=BRIEF)
    assert set(ada.sees(SessionState).errors) == {"form"}
    assert ada.sees(CreateState).waiting_for == ""
    generator.script_mode = "direct"
    ada.send(CreateState, "write_script", form=BRIEF)
    assert (ada.sees(SessionState).errors, ada.sees(CreateState).stage) == ({}, "script")


def test_without_a_script_webhook_the_parts_are_written_by_hand(drafting: Tab) -> None:
    shown = drafting.sees(CreateState)
    assert (shown.stage, shown.parts["hook"], shown.can_rewrite) == ("script", "", False)


def test_what_is_typed_is_kept_when_the_modal_closes(drafting: Tab) -> None:
    video_id = drafting.sees(CreateState).video.video_id
    drafting.send(CreateState, "save_script", form={**SCRIPT, "hook": "Half a sen"})
    drafting.send(CreateState, "close")
    assert drafting.sees(CreateState).stage == ""
    assert "Drafts" in drafting.sees(SessionState).notice
    drafting.send(CreateState, "open", video_id=video_id)
    assert drafting.sees(CreateState).parts["hook"] == "Half a sen"


def test_too_long_a_part_is_reported_while_typing(drafting: Tab) -> None:
    drafting.send(CreateState, "save_script", form={**SCRIPT, "hook": "a" * 10_000})
    assert drafting.sees(SessionState).errors["hook"].startswith("Hook is too long: 10,000 characters")
    drafting.send(CreateState, "save_script", form=SCRIPT)
    assert drafting.sees(SessionState).errors == {}


def test_video_is_requested_once_however_often_it_is_clicked(drafting: Tab) -> None:
    video_id = drafting.sees(CreateState).video.video_id
    drafting.send(CreateState, "create_video", form=SCRIPT)
    drafting.send(CreateState, "create_video", form=SCRIPT)
    assert drafting.sees(CreateState).stage == "working"
    assert jobs() == [video_id]


def test_two_clicks_at_once_request_one_video(drafting: Tab) -> None:
    video_id = drafting.sees(CreateState).video.video_id
    for _ in range(2):
        drafting.start(CreateState, "create_video", form=SCRIPT)
    drafting.wait_until(lambda: drafting.sees(CreateState).stage == "working")
    drafting.send(CreateState, "refresh")  # comes after both
    assert not drafting.sees(CreateState).is_requesting
    assert jobs() == [video_id]


def test_request_while_the_database_is_away_says_so_and_can_be_repeated(
    drafting: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session._callers, "_seconds", 3600.0)  # the session was checked before the outage
    with database_away():
        drafting.send(CreateState, "create_video", form=SCRIPT)
    assert drafting.sees(SessionState).errors == {"script": DatabaseUnavailable().public_message}
    assert (drafting.sees(CreateState).stage, drafting.sees(CreateState).is_requesting) == ("script", False)
    drafting.send(CreateState, "create_video", form=SCRIPT)
    assert drafting.sees(CreateState).stage == "working"
    assert len(jobs()) == 1


def test_video_whose_response_was_lost_is_ordered_again_on_request(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form=SCRIPT)
    video_id = drafting.sees(CreateState).video.video_id
    drafting.send(CreateState, "regenerate")  # not offered yet
    with transaction() as opened:
        video = opened.get_one(Video, video_id)
        assert video.attempt == 1
        video.requested_at, video.unanswered_attempt = utcnow(), video.attempt
    drafting.send(CreateState, "regenerate")
    with reading() as opened:
        again = opened.get_one(Video, video_id)
    assert (again.status, again.attempt, again.requested_at) == (Status.GENERATING, 2, None)
    assert drafting.sees(CreateState).stage == "working"


def test_button_is_busy_until_there_is_an_answer(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form={**SCRIPT, "conclusion": ""})
    shown = [
        value
        for delta in drafting.server.received.deltas[drafting.token]
        for name, value in delta.get(CreateState.get_full_name(), {}).items()
        if name.startswith("is_requesting")
    ]
    assert shown[-2:] == [True, False]  # before it the page as it was loaded


def test_incomplete_script_is_not_requested(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form={**SCRIPT, "conclusion": ""})
    assert drafting.sees(SessionState).errors == {"conclusion": "Conclusion is missing."}
    assert (drafting.sees(CreateState).stage, jobs()) == ("script", [])


def test_without_a_generator_the_script_stays(drafting: Tab, configure: Configure) -> None:
    configure(VIDEO_WEBHOOK_URL="")
    drafting.send(CreateState, "create_video", form=SCRIPT)
    assert "VIDEO_WEBHOOK_URL" in drafting.sees(SessionState).errors["script"]
    assert drafting.sees(CreateState).stage == "script"


def test_next_form_has_all_but_the_topic(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form=SCRIPT)
    again = drafting.server.tab(drafting.cookie)
    again.send(CreateState, "enter")
    expected = {**create.EMPTY, "company_name": "Brot & Söhne", "avatar": "Sofia"}
    assert again.sees(CreateState).brief == drafting.sees(CreateState).brief == expected


def test_address_opens_the_video_it_names(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form=SCRIPT)
    video_id = drafting.sees(CreateState).video.video_id
    other_device = drafting.server.tab(drafting.cookie, address=f"/gallery?video={video_id}")
    other_device.send(CreateState, "enter")
    assert other_device.sees(CreateState).stage == "working"
    other_device.address = "/gallery"
    other_device.send(CreateState, "enter")
    assert other_device.sees(CreateState).stage == ""


def test_another_users_video_does_not_open(drafting: Tab, person: Callable[[str], Person]) -> None:
    video_id = drafting.sees(CreateState).video.video_id
    bob = drafting.server.tab(person("bob").token)
    bob.send(CreateState, "open", video_id=video_id)
    assert bob.sees(SessionState).notice == "There is no such video."
    assert bob.sees(CreateState).stage == ""
    assert "Bread at night" not in bob.received


def test_cancelled_video_can_be_retried_or_edited(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form=SCRIPT)
    drafting.send(CreateState, "cancel")
    shown = drafting.sees(CreateState)
    assert (shown.stage, shown.video.reason) == ("failed", "This video was cancelled.")
    assert shown.video.is_cancelled
    drafting.send(CreateState, "edit")
    assert (drafting.sees(CreateState).stage, drafting.sees(CreateState).parts) == ("script", SCRIPT)
    drafting.send(CreateState, "close")
    drafting.send(CreateState, "open", video_id=shown.video.video_id)
    drafting.send(CreateState, "retry")
    assert drafting.sees(CreateState).stage == "working"


def test_impossible_cancellation_is_reported_in_the_modal(drafting: Tab) -> None:
    drafting.send(CreateState, "cancel")
    assert drafting.sees(SessionState).errors == {"video": "This video is not being made."}


def test_another_video_starts_with_all_of_this_one(drafting: Tab) -> None:
    drafting.send(CreateState, "create_another", video_id=drafting.sees(CreateState).video.video_id)
    assert drafting.sent_to == "/create"
    assert drafting.sees(CreateState).video.has_topic
    assert drafting.sees(CreateState).brief["topic"] == "Bread at night"
    drafting.send(CreateState, "enter")
    assert drafting.sees(CreateState).brief["topic"] == "Bread at night"


def test_modal_follows_its_video_to_the_end(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form=SCRIPT)
    video_id = drafting.sees(CreateState).video.video_id
    with transaction() as session:
        video = session.get(Video, video_id)
        assert video
        video.status, video.duration, video.size = Status.READY, 20.0, 3_700_000
    drafting.send(CreateState, "refresh")
    shown = drafting.sees(CreateState)
    assert (shown.stage, shown.video.details) == ("ready", "0:20, 3.7 MB")


def test_modal_closes_when_its_video_is_deleted(drafting: Tab) -> None:
    drafting.send(CreateState, "create_video", form=SCRIPT)
    with transaction() as session:
        session.delete(session.get(Video, drafting.sees(CreateState).video.video_id))
    drafting.send(CreateState, "refresh")
    assert drafting.sees(CreateState).stage == ""
    assert drafting.sees(SessionState).notice == "This video has been deleted."


def test_script_is_kept_as_it_was_typed(drafting: Tab) -> None:
    typed = {"hook": "مرحبا 👋", "body": "eins\nzwei", "conclusion": "<script>alert(1)</script>"}
    drafting.send(CreateState, "save_script", form=typed)
    drafting.send(CreateState, "open", video_id=drafting.sees(CreateState).video.video_id)
    assert drafting.sees(CreateState).parts == typed


def test_page_loaded_after_a_server_crash_is_not_busy(drafting: Tab) -> None:
    drafting.sees(CreateState).is_requesting = True
    assert drafting.sees(CreateState).is_requesting
    drafting.send(CreateState, "enter")
    assert not drafting.sees(CreateState).is_requesting


def test_remaining_videos_of_the_day_are_shown(drafting: Tab, configure: Configure) -> None:
    assert drafting.sees(CreateState).budget == ""
    video_id = drafting.sees(CreateState).video.video_id
    configure(GENERATIONS_PER_DAY=2, GENERATIONS_PER_DAY_TOTAL=10)
    drafting.send(CreateState, "enter")
    assert drafting.sees(CreateState).budget == "2 of 2 videos left today"
    drafting.send(CreateState, "open", video_id=video_id)
    drafting.send(CreateState, "create_video", form=SCRIPT)
    assert drafting.sees(CreateState).budget == "1 of 2 videos left today"
    configure(GENERATIONS_PER_DAY=1)
    drafting.send(CreateState, "cancel")
    drafting.send(CreateState, "retry")
    assert drafting.sees(SessionState).errors["video"].startswith("Your 1 video for today is used up.")
    drafting.send(CreateState, "enter")
    assert drafting.sees(CreateState).budget.startswith("You have no videos left today.")


@pytest.fixture
def failed(drafting: Tab) -> Tab:
    """A tab with a failed generated video in its modal."""
    drafting.send(CreateState, "create_video", form=SCRIPT)
    with transaction() as session:
        video = session.get_one(Video, drafting.sees(CreateState).video.video_id)
        video.status, video.source_url, video.s3_key = Status.FAILED, GONE, "videos/a/b/1_c.mp4"
        video.requested_at, video.error_message = utcnow(), "Gone."
    drafting.send(CreateState, "refresh")
    return drafting


def test_failed_video_shows_its_source_url_and_both_retries(failed: Tab) -> None:
    shown = failed.sees(CreateState)
    assert (shown.stage, shown.source_url) == ("failed", GONE)
    assert (shown.video.can_fetch, shown.video.can_generate) == (True, True)
    failed.send(CreateState, "close")
    assert failed.sees(CreateState).source_url == ""


def test_failed_video_is_fetched_again_from_the_same_url(failed: Tab) -> None:
    failed.send(CreateState, "retry")
    shown = failed.sees(CreateState)
    assert (shown.stage, shown.source_url) == ("working", "")
    with reading() as session:
        assert session.get_one(Video, shown.video.video_id).source_url == GONE


def test_failed_video_is_fetched_from_another_url(failed: Tab) -> None:
    for wrong in ("", "not an address", "http://127.0.0.1/v.mp4"):
        failed.send(CreateState, "fetch", form={"videoUrl": wrong})
        assert failed.sees(CreateState).stage == "failed"
        assert list(failed.sees(SessionState).errors) == ["videoUrl"]
    failed.send(CreateState, "fetch", form={"videoUrl": "http://93.184.216.34/a b.mp4"})
    assert failed.sees(CreateState).stage == "working"
    with reading() as session:
        video = session.get_one(Video, failed.sees(CreateState).video.video_id)
        assert (video.status, video.source_url) == (Status.QUEUED, "http://93.184.216.34/a b.mp4")


def test_failed_video_is_generated_again_on_request(failed: Tab) -> None:
    failed.send(CreateState, "regenerate")
    assert failed.sees(CreateState).stage == "working"
    with reading() as session:
        video = session.get_one(Video, failed.sees(CreateState).video.video_id)
        assert (video.status, video.source_url) == (Status.GENERATING, None)
