"""The document for people who connect a generator shows what the reader makes of each answer."""

import json
from collections.abc import Callable

import pytest

from tests.gateways.reply_cases import ADDRESSES, NEVER, SCRIPTS, VENDORS, WEBHOOK, Case, sent
from tests.support.answers_document import in_document
from tests.support.documents import table
from videovault.errors import WebhookError
from videovault.gateways import webhook_reply
from videovault.gateways.webhook_reply import VideoReply, vocabulary

LONGEST = 300  # of an answer, in the tables


def words() -> str:
    by_state = {
        state: " ".join(f"`{word}`" for word, meant in vocabulary.STATES.items() if meant == state)
        for state in ("ready", "processing", "failed", "rejected")
    }
    rows = [
        ("The video's address, the surest name first", names(*vocabulary.VIDEO_NAMES)),
        ("Any address; one that ends like a video first", names(*vocabulary.URL_NAMES)),
        ("Endings of videos", names(*sorted(vocabulary.VIDEO_EXTENSIONS))),
        ("Endings of other files", names(*sorted(vocabulary.OTHER_EXTENSIONS))),
        (
            "An address under a name with one of these words is not the video",
            names(*sorted(vocabulary.NON_VIDEO_URL_WORDS)),
        ),
        ("Where to ask how far it is", names(*vocabulary.STATUS_URL_NAMES)),
        (
            "Where to ask for the outcome of a finished one, at the status address's own origin",
            names(*vocabulary.RESPONSE_URL_NAMES),
        ),
        ("The state's name", names(*vocabulary.STATE_NAMES)),
        ("Finished", by_state["ready"]),
        ("Under way", by_state["processing"]),
        ("Failed", by_state["failed"]),
        ("Rejected", by_state["rejected"]),
        ("The reason", names(*vocabulary.REASON_NAMES)),
        ("Only an acknowledgement", names(*sorted(vocabulary.ACKNOWLEDGEMENTS))),
        *((f"Part of a script: {part}", names(*found)) for part, found in vocabulary.SCRIPT_NAMES.items()),
    ]
    return table(("What", "Names and words"), rows)


def names(*found: str) -> str:
    return " ".join(f"`{name}`" for name in found)


def shown(case: Case) -> str:
    text = sent(case).decode().replace("\n", "\\n").replace("`", "'")
    status = case.get("status", 200)
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return ("" if status == 200 else f"{status} ") + (f"`{cut}`" if cut else "(empty)")


def in_words(said: VideoReply) -> str:
    url = (
        f"`{said.video_url if len(said.video_url) < 200 else said.video_url[:80] + '…'}`"
        if said.video_url
        else ""
    )
    match said.state:
        case "ready":
            if said.response_url:
                return f"finished; where it is, is asked at `{said.response_url}`"
            return f"finished: {url}" if url else "finished, without an address: not understood"
        case "processing":
            asked = f"; asked at `{said.status_url}`" if said.status_url else ""
            return (f"under way; {url} is kept for later" if url else "under way") + asked
        case "unread":
            return f"not understood: {said.message}"
    return f"{said.state}: {said.message}" if said.message else said.state


def video_rows(cases: list[Case]) -> list[tuple[str, ...]]:
    return [
        (
            " · ".join(filter(None, (case.get("vendor"), case["name"]))),
            shown(case),
            in_words(
                webhook_reply.read(
                    sent(case), case.get("content_type", "application/json"), status=case.get("status", 200)
                )
            ),
        )
        for case in cases
    ]


def script_row(case: Case) -> tuple[str, ...]:
    try:
        read = json.dumps(vars(webhook_reply.read_script(sent(case))))
    except WebhookError as error:
        read = error.public_message
    return case["name"], shown(case), read


HEAD = ("Answer", "Body", "What is read")
# A 5xx is not read: it may have come from a proxy, so the report is waited for.
READ = [case for case in WEBHOOK if case["status"] < 500]
PARTS: dict[str, Callable[[], str]] = {
    "words": words,
    "never": lambda: table(HEAD, video_rows(NEVER)),
    "addresses": lambda: table(HEAD, video_rows(ADDRESSES)),
    "vendors": lambda: table(HEAD, video_rows(VENDORS)),
    "webhook": lambda: table(HEAD, video_rows(READ)),
    "scripts": lambda: table(HEAD, [script_row(case) for case in SCRIPTS]),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_document_shows_what_is_read(name: str, request: pytest.FixtureRequest) -> None:
    """After a change: `python -m pytest tests/gateways/test_reply_document.py --write-answers`."""
    seen = PARTS[name]()
    assert in_document(request.config, name, seen) == seen
