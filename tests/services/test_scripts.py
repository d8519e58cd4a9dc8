"""A brief becomes a draft that nobody loses."""

import pytest

from tests.fixtures.generator import Generator
from tests.fixtures.installation import Configure
from videovault.errors import InvalidInput, WebhookError
from videovault.services import scripts, videos
from videovault.services.access import Caller

BRIEF = {"topic": "Bread\nand butter", "avatar": "Anna", "company_name": "Brot"}


@pytest.mark.usefixtures("generator")
def test_the_webhooks_script_is_kept_as_a_draft(anna: Caller) -> None:
    draft = scripts.write(anna, BRIEF)
    assert draft.hook == "Look at this"
    assert scripts.read(anna, draft.video_id) == draft
    drafts = videos.gallery(anna, anna.user_id, videos.GalleryQuery(status="draft"), links=False)
    assert [video.title for video in drafts.videos] == ["Bread"]
    assert drafts.total_count == 0


def test_without_a_webhook_the_parts_are_empty_to_be_written_by_hand(
    anna: Caller, configure: Configure
) -> None:
    configure(SCRIPT_WEBHOOK_URL="")
    draft = scripts.write(anna, BRIEF)
    assert (draft.hook, draft.body, draft.conclusion) == ("", "", "")
    saved = scripts.save(anna, draft.video_id, {"hook": "Mine"})
    assert (saved.hook, saved.company_name) == ("Mine", "Brot")


def test_what_a_webhook_wrote_too_long_is_cut_to_what_can_be_kept(anna: Caller, generator: Generator) -> None:
    generator.script = {"hook": "h" * 5000, "body": "b\x00c", "conclusion": ""}
    draft = scripts.write(anna, BRIEF)
    assert len(draft.hook) == 1000
    assert draft.body == "bc"


@pytest.mark.parametrize("mode", ["refuse", "break", "hang", "nonsense"])
def test_a_webhook_that_fails_says_so_and_leaves_no_draft(
    anna: Caller, generator: Generator, mode: str
) -> None:
    generator.script_mode = mode  # type: ignore[assignment] # the parametrized values are modes
    with pytest.raises(WebhookError):
        scripts.write(anna, BRIEF)
    drafts = videos.gallery(anna, anna.user_id, videos.GalleryQuery(status="draft"), links=False)
    assert drafts.videos == []


@pytest.mark.usefixtures("generator")
def test_a_brief_that_is_wrong_is_not_sent(anna: Caller, generator: Generator) -> None:
    with pytest.raises(InvalidInput):
        scripts.write(anna, BRIEF | {"topic": ""})
    assert generator.requests == []
