"""A test order shows the generator's replies and reports, and leaves no video behind."""

import json
from typing import Any

import pytest
from sqlmodel import select

from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, RateLimited
from videovault.models import GenerationCount, TestOrder, Video
from videovault.services.admin import test_order
from videovault.services.admin.test_order import TestOrderView
from videovault.services.core.access import Caller
from videovault.services.generation import avatars, callbacks, webhook_log


def run_test_order(anna: Caller) -> TestOrderView:
    order = test_order.start(anna)
    test_order.send(anna, order.id)
    return latest(anna)


def latest(anna: Caller) -> TestOrderView:
    order = test_order.latest(anna)
    assert order is not None
    return order


def report(generator: Generator, body: dict[str, Any]) -> bool:
    raw = json.dumps(body).encode()
    return test_order.report(generator.requests[-1]["callbackToken"], raw, callbacks.parse_report(raw))


def test_a_test_order_shows_requests_responses_and_reports(anna: Caller, generator: Generator) -> None:
    generator.mode = "processing"
    order = run_test_order(anna)
    assert [step.name for step in order.steps] == ["Script webhook", "Video webhook"]
    script, video = order.steps
    assert json.loads(script.sent)["test"] is True
    assert script.read == "A script with hook, body and conclusion."
    assert (json.loads(video.sent)["hook"], video.http_status) == (generator.script["hook"], 200)
    assert generator.requests[-1]["callbackToken"] not in video.sent
    assert video.read == "Accepted; the report is waited for."
    assert not order.is_over
    assert report(generator, {"movie": {"at": generator.video_url, "again": generator.file("b.mp4")}})
    assert latest(anna).steps[-1].is_bad
    assert report(generator, {"event": "video.completed", "data": {"url": generator.video_url}})
    order = latest(anna)
    assert order.is_over
    assert order.steps[-1].read == f"Finished; the video is at {generator.url}/…"


def test_a_test_order_names_a_known_avatar(anna: Caller, generator: Generator) -> None:
    run_test_order(anna)
    assert [sent["avatar"] for sent in generator.requests] == [avatars.BUILT_IN_NAMES[0]] * 2
    avatars.add(anna, {"name": "Anna", "generatorId": "Anna_public_3_20240108"})
    run_test_order(anna)
    assert [sent["avatar"] for sent in generator.requests[2:]] == ["Anna_public_3_20240108"] * 2


def test_a_test_order_makes_no_video_and_costs_no_budget(
    anna: Caller, generator: Generator, configure: Configure
) -> None:
    configure(GENERATIONS_PER_DAY=1)
    assert run_test_order(anna).is_over
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
def test_errors_are_shown(anna: Caller, generator: Generator, mode: Any, read: str) -> None:
    generator.mode = mode
    step = run_test_order(anna).steps[-1]
    assert (step.read, step.is_bad) == (read, True)


def test_a_response_that_is_the_video_ends_the_test_order(anna: Caller, generator: Generator) -> None:
    generator.mode = "film"
    order = run_test_order(anna)
    step = order.steps[-1]
    assert (order.is_over, step.is_bad, step.answer) == (True, False, webhook_log.VIDEO_BODY_PLACEHOLDER)
    assert step.read == "Finished; the answer is the video itself, which is not kept for a test order."


def test_test_orders_run_one_at_a_time_until_the_deadline(anna: Caller, generator: Generator) -> None:
    generator.mode = "processing"
    order = run_test_order(anna)
    with pytest.raises(Conflict, match="under way"):
        test_order.start(anna)
    with transaction() as session:
        row = session.get_one(TestOrder, order.id)
        row.started_at = utcnow() - test_order.DEADLINE
        session.add(row)
    late = latest(anna)
    assert (late.is_over, late.steps[-1].read) == (True, test_order.TIMED_OUT)
    assert not test_order.start(anna).is_over


def test_test_orders_are_for_admins_and_rate_limited(
    anna: Caller, bert: Caller, generator: Generator, configure: Configure
) -> None:
    for refused in (test_order.start, test_order.latest):
        with pytest.raises(Forbidden):
            refused(bert)
    with pytest.raises(Forbidden):
        test_order.send(bert, "any")
    configure(SCRIPT_WEBHOOK_URL="", VIDEO_WEBHOOK_URL=f"{generator.url}/video", RATE_LIMITS="on")
    for _ in range(6):
        run_test_order(anna)
    with pytest.raises(RateLimited):
        test_order.start(anna)
    with reading() as session:
        assert len(session.exec(select(TestOrder)).all()) <= test_order.MAX_ORDERS


@pytest.mark.usefixtures("generator")
def test_a_forged_token_matches_no_test_order() -> None:
    assert not test_order.report("a.b.c", b"{}", callbacks.parse_report(b"{}"))
