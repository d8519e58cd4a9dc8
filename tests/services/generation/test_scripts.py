"""A brief becomes a saved draft."""

import pytest

from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.errors import Conflict, InvalidInput, VideoNotFound, WebhookError
from videovault.services.core.access import Caller
from videovault.services.generation import scripts
from videovault.services.videos import gallery

BRIEF = {"topic": "Bread\nand butter", "avatar": "Anna", "company_name": "Brot"}


@pytest.mark.usefixtures("generator")
def test_the_script_is_saved_as_a_draft(anna: Caller) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    assert draft.hook == "Look at this"
    assert scripts.read(anna, draft.video_id) == draft
    drafts = gallery.list_videos(anna, anna.user_id, gallery.GalleryQuery(status="draft"), links=False)
    assert [video.title for video in drafts.videos] == ["Bread"]
    assert drafts.total_count == 0


def test_without_a_webhook_the_parts_are_empty_to_be_written_by_hand(
    anna: Caller, configure: Configure
) -> None:
    configure(SCRIPT_WEBHOOK_URL="")
    draft = scripts.write_draft(anna, BRIEF)
    assert (draft.hook, draft.body, draft.conclusion) == ("", "", "")
    saved = scripts.update_draft(anna, draft.video_id, {"hook": "Mine"})
    assert (saved.hook, saved.company_name) == ("Mine", "Brot")


def test_a_script_that_is_too_long_is_cut(anna: Caller, generator: Generator) -> None:
    generator.script = {"hook": "h" * 5000, "body": "b\x00c", "conclusion": ""}
    draft = scripts.write_draft(anna, BRIEF)
    assert len(draft.hook) == 1000
    assert draft.body == "bc"


@pytest.mark.parametrize("mode", ["refuse", "break", "hang", "nonsense"])
def test_a_failing_webhook_leaves_no_draft(
    anna: Caller, generator: Generator, configure: Configure, mode: str
) -> None:
    if mode == "hang":
        configure(WEBHOOK_TIMEOUT_SECONDS=1)
    generator.script_mode = mode  # type: ignore[assignment] # the parametrized values are modes
    with pytest.raises(WebhookError):
        scripts.write_draft(anna, BRIEF)
    drafts = gallery.list_videos(anna, anna.user_id, gallery.GalleryQuery(status="draft"), links=False)
    assert drafts.videos == []


@pytest.mark.usefixtures("generator")
def test_an_invalid_brief_is_not_sent(anna: Caller, generator: Generator) -> None:
    with pytest.raises(InvalidInput):
        scripts.write_draft(anna, BRIEF | {"topic": ""})
    assert generator.requests == []


def test_a_part_is_requested_with_the_brief_and_the_current_script(
    anna: Caller, generator: Generator
) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    scripts.update_draft(anna, draft.video_id, {"body": "Mine now."})
    generator.script = {"hook": "Another hook", "body": "Not asked for", "conclusion": "Nor this"}
    assert scripts.compose_part(anna, draft.video_id, "hook") == "Another hook"
    request = generator.requests[-1]
    assert (request["part"], request["topic"], request["email"]) == ("hook", "Bread\nand butter", anna.email)
    assert (request["hook"], request["body"], request["conclusion"]) == (
        "Look at this",
        "Mine now.",
        "Buy it.",
    )
    assert scripts.read(anna, draft.video_id).hook == "Look at this"  # until it is saved


def test_each_request_for_a_part_has_another_seed(anna: Caller, generator: Generator) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    for _ in range(4):
        scripts.compose_part(anna, draft.video_id, "body")
    assert len({request.get("seed") for request in generator.requests[1:]}) > 1


def test_a_reply_without_the_requested_part_is_an_error(anna: Caller, generator: Generator) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    generator.script = {"hook": "", "body": "Only this", "conclusion": ""}
    with pytest.raises(WebhookError, match="without a hook"):
        scripts.compose_part(anna, draft.video_id, "hook")


def test_without_a_webhook_no_part_can_be_rewritten(anna: Caller, configure: Configure) -> None:
    configure(SCRIPT_WEBHOOK_URL="")
    draft = scripts.write_draft(anna, BRIEF)
    with pytest.raises(Conflict, match="SCRIPT_WEBHOOK_URL"):
        scripts.compose_part(anna, draft.video_id, "hook")


def test_people_cannot_rewrite_other_peoples_scripts(
    anna: Caller, bert: Caller, generator: Generator
) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    with pytest.raises(VideoNotFound):
        scripts.compose_part(bert, draft.video_id, "hook")
    assert len(generator.requests) == 1
