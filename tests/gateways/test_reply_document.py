"""docs/connect/answers.md shows how each kind of reply is parsed."""

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
        ("The video's URL, the most specific name first", names(*vocabulary.VIDEO_NAMES)),
        ("Any URL; one with a video's file extension first", names(*vocabulary.URL_NAMES)),
        ("File extensions of videos", names(*sorted(vocabulary.VIDEO_EXTENSIONS))),
        ("File extensions of other files", names(*sorted(vocabulary.OTHER_EXTENSIONS))),
        (
            "A URL under a name with one of these words is not the video",
            names(*sorted(vocabulary.NON_VIDEO_URL_WORDS)),
        ),
        ("Status URL, which is polled", names(*vocabulary.STATUS_URL_NAMES)),
        (
            "Response URL with the result of a finished render, only of the status URL's own origin",
            names(*vocabulary.RESPONSE_URL_NAMES),
        ),
        ("Names of the state", names(*vocabulary.STATE_NAMES)),
        ("Finished", by_state["ready"]),
        ("In progress", by_state["processing"]),
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


def describe(reply: VideoReply) -> str:
    url = (
        f"`{reply.video_url if len(reply.video_url) < 200 else reply.video_url[:80] + '…'}`"
        if reply.video_url
        else ""
    )
    match reply.state:
        case "ready":
            if reply.response_url:
                return f"finished; its result is polled at `{reply.response_url}`"
            return f"finished: {url}" if url else "finished, without a URL: not understood"
        case "processing":
            asked = f"; polled at `{reply.status_url}`" if reply.status_url else ""
            return (f"in progress; {url} is kept for later" if url else "in progress") + asked
        case "unread":
            return f"not understood: {reply.message}"
    return f"{reply.state}: {reply.message}" if reply.message else reply.state


def video_rows(cases: list[Case]) -> list[tuple[str, ...]]:
    return [
        (
            " · ".join(filter(None, (case.get("vendor"), case["name"]))),
            shown(case),
            describe(
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
# A 5xx is not parsed: it may come from a proxy, so the video waits for the report.
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
def test_the_document_is_up_to_date(name: str, request: pytest.FixtureRequest) -> None:
    """After a change: `python -m pytest tests/gateways/test_reply_document.py --write-answers`."""
    seen = PARTS[name]()
    assert in_document(request.config, name, seen) == seen
