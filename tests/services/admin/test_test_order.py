"""A test order shows what a generator answers and reports, and leaves no video behind."""

import json
from typing import Any

import pytest
from sqlmodel import select

from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, RateLimited
from videovault.models import GenerationCount, TestOrder, Video, utcnow
from videovault.services.admin import test_order
from videovault.services.admin.test_order import TestOrderView
from videovault.services.core.access import Caller
from videovault.services.generation import avatars, callbacks, webhook_log


def ordered(anna: Caller) -> TestOrderView:
    order = test_order.start(anna)
    test_order.send(anna, order.id)
    return latest(anna)


def latest(anna: Caller) -> TestOrderView:
    order = test_order.latest(anna)
    assert order is not None
    return order


def reported(generator: Generator, body: dict[str, Any]) -> bool:
    raw = json.dumps(body).encode()
    return test_order.report(generator.requests[-1]["callbackToken"], raw, callbacks.parse_report(raw))


def test_it_shows_what_was_sent_answered_read_and_reported(anna: Caller, generator: Generator) -> None:
    generator.mode = "processing"
    order = ordered(anna)
    assert [step.name for step in order.steps] == ["Script webhook", "Video webhook"]
    script, video = order.steps
    assert json.loads(script.sent)["test"] is True
    assert script.read == "A script with hook, body and conclusion."
    assert (json.loads(video.sent)["hook"], video.http_status) == (generator.script["hook"], 200)
    assert generator.requests[-1]["callbackToken"] not in video.sent
    assert video.read == "Accepted; the report is waited for."
    assert not order.is_over
    assert reported(generator, {"movie": {"at": generator.video_url, "again": generator.file("b.mp4")}})
    assert latest(anna).steps[-1].is_bad
    assert reported(generator, {"event": "video.completed", "data": {"url": generator.video_url}})
    order = latest(anna)
    assert order.is_over
    assert order.steps[-1].read == f"Finished; the video is at {generator.url}/…"


def test_it_names_an_avatar_that_the_generator_knows(anna: Caller, generator: Generator) -> None:
    ordered(anna)
    assert [sent["avatar"] for sent in generator.requests] == [avatars.BUILT_IN_NAMES[0]] * 2
    avatars.add(anna, {"name": "Anna", "generatorId": "Anna_public_3_20240108"})
    ordered(anna)
    assert [sent["avatar"] for sent in generator.requests[2:]] == ["Anna_public_3_20240108"] * 2


def test_it_makes_no_video_and_costs_no_budget(
    anna: Caller, generator: Generator, configure: Configure
) -> None:
    configure(GENERATIONS_PER_DAY=1)
    assert ordered(anna).is_over
    assert len(generator.requests) == 2
    with reading() as session:
        assert session.exec(select(Video)).all() == []
        assert session.exec(select(GenerationCount)).all() == []


@pytest.mark.parametrize(
    ("mode", "read"),
    [
        ("refuse", "Failed: This avatar is not known."),
        ("rejected", "Rejected: No swearing, please."),
        ("nonsense", "Not understood. It names neither the address of a video nor a state that is known."),
        ("break", "The service answered HTTP 500."),
    ],
)
def test_what_goes_wrong_is_shown(anna: Caller, generator: Generator, mode: Any, read: str) -> None:
    generator.mode = mode
    step = ordered(anna).steps[-1]
    assert (step.read, step.is_bad) == (read, True)


def test_an_answer_that_is_the_video_itself_ends_it(anna: Caller, generator: Generator) -> None:
    generator.mode = "film"
    order = ordered(anna)
    step = order.steps[-1]
    assert (order.is_over, step.is_bad, step.answer) == (True, False, webhook_log.VIDEO_BODY_PLACEHOLDER)
    assert step.read == "Finished; the answer is the video itself, which is not kept for a test order."


def test_there_is_one_at_a_time_until_its_time_is_over(anna: Caller, generator: Generator) -> None:
    generator.mode = "processing"
    order = ordered(anna)
    with pytest.raises(Conflict, match="under way"):
        test_order.start(anna)
    with transaction() as session:
        row = session.get_one(TestOrder, order.id)
        row.started_at = utcnow() - test_order.DEADLINE
        session.add(row)
    late = latest(anna)
    assert (late.is_over, late.steps[-1].read) == (True, test_order.TIMED_OUT)
    assert not test_order.start(anna).is_over


def test_it_is_for_admins_only_and_not_too_often(
    anna: Caller, bert: Caller, generator: Generator, configure: Configure
) -> None:
    for refused in (test_order.start, test_order.latest):
        with pytest.raises(Forbidden):
            refused(bert)
    with pytest.raises(Forbidden):
        test_order.send(bert, "any")
    configure(SCRIPT_WEBHOOK_URL="", VIDEO_WEBHOOK_URL=f"{generator.url}/video", RATE_LIMITS="on")
    for _ in range(6):
        ordered(anna)
    with pytest.raises(RateLimited):
        test_order.start(anna)
    with reading() as session:
        assert len(session.exec(select(TestOrder)).all()) <= test_order.MAX_ORDERS


@pytest.mark.usefixtures("generator")
def test_a_token_that_is_made_up_is_for_no_test_order() -> None:
    assert not test_order.report("a.b.c", b"{}", callbacks.parse_report(b"{}"))
