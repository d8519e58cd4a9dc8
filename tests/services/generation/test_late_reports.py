"""A report belongs to the attempt it was ordered for; a token of the version before says nothing of attempts."""

from collections.abc import Callable

import pytest

from tests.services.conftest import SCRIPT, Row
from tests.support.generator import Generator
from videovault import security
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.generation import callbacks
from videovault.services.generation import orders as generation_orders
from videovault.services.generation.callbacks import Report
from videovault.services.transfer import pipeline

URL = "https://generator.example/video.mp4"


@pytest.fixture
def orders(generator: Generator, generating: Callable[[], Video], anna: Caller) -> list[dict[str, str]]:
    """What the generator was sent for the first attempt and the second, which it works on."""
    generator.mode = "processing"
    video = generating()
    generation_orders.send_order(video.id)
    pipeline.cancel(anna, video.id)
    generation_orders.request(anna, SCRIPT, video.id, enqueue=list)
    generation_orders.send_order(video.id)
    return generator.requests


def told(order: dict[str, str], status: str, url: str = "", token: str = "") -> callbacks.ReportOutcome:
    caller = callbacks.generator_caller(token or order["callbackToken"], order["videoId"])
    return callbacks.apply(caller, Report(order["userId"], order["videoId"], status, url), enqueue=list)


@pytest.mark.parametrize("status", ["failed", "processing"])
def test_what_the_first_attempt_says_late_changes_nothing_in_the_second(
    orders: list[dict[str, str]], row: Row, status: str
) -> None:
    before = row(orders[0]["videoId"])
    taken = told(orders[0], status)
    assert (taken.superseded, taken.changed, taken.status) == (True, False, Status.GENERATING)
    assert row(orders[0]["videoId"]).model_dump() == before.model_dump()


def test_the_second_attempt_reports_for_itself(orders: list[dict[str, str]]) -> None:
    taken = told(orders[1], "failed")
    assert (taken.superseded, taken.status) == (False, Status.FAILED)


def test_a_late_video_of_the_first_attempt_is_welcome(orders: list[dict[str, str]], row: Row) -> None:
    """It is of the same script and paid for."""
    assert told(orders[0], "ready", URL).status == Status.QUEUED
    assert row(orders[0]["videoId"]).source_url == URL


def test_a_video_that_comes_after_a_failed_transfer_is_of_the_present_order(
    orders: list[dict[str, str]], row: Row, anna: Caller
) -> None:
    """Claims by workers and retried transfers raise the attempt, too; the order is the same."""
    video_id = orders[1]["videoId"]
    told(orders[1], "ready", URL)
    pipeline.cancel(anna, video_id)
    pipeline.retry(anna, video_id, enqueue=list)
    assert row(video_id).status == Status.QUEUED
    assert told(orders[1], "failed").superseded is False


@pytest.mark.parametrize("status", ["failed", "processing", "ready"])
def test_a_token_of_the_version_before_is_still_good(
    orders: list[dict[str, str]], row: Row, status: str
) -> None:
    order = generation_orders.order_of(row(orders[1]["videoId"]))
    token = security.sign("order", [order.video_id, order.script])
    taken = told(orders[1], status, URL if status == "ready" else "", token)
    assert (taken.superseded, taken.changed) == (False, True)
