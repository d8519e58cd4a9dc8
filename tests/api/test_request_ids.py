"""One id in the log, from the request to the parts in S3."""

import logging
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from structlog.contextvars import merge_contextvars

from tests.api.requests import AT_ONCE, generate, store
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import Person
from tests.support.scrape import scrape
from tests.support.videos import set_columns
from videovault.clock import utcnow
from videovault.db import reading
from videovault.models import Status, Video
from videovault.services.generation import polling
from videovault.services.transfer import pipeline

ID = "click-0123456789"
HEADERS = {"X-Request-Id": ID}
Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log of this process at level debug."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    with structlog.testing.capture_logs([merge_contextvars]) as captured:
        yield captured
    structlog.configure(wrapper_class=before)


def row(video_id: str) -> Video:
    with reading() as session:
        return session.get_one(Video, video_id)


def produce(video_id: str) -> None:
    """As the worker does, in a process that knows nothing of the request."""
    structlog.contextvars.clear_contextvars()
    pipeline.produce(video_id, stopping=lambda: False)


@pytest.mark.usefixtures("moto_s3", "probed_once", "counting")
def test_the_lines_of_api_order_transfer_and_s3_have_the_id_of_the_request(
    ada: Person, generator: Generator, configure: Configure, lines: Lines
) -> None:
    del generator
    configure(GENERATE_WAIT_SECONDS=0)
    ada.api.headers.update(HEADERS)
    answer = generate(ada)
    assert answer.headers["x-request-id"] == ID
    video_id = answer.json()["data"]["videoId"]
    assert row(video_id).request_id == ID
    lines.clear()
    produce(video_id)
    assert row(video_id).status == Status.READY
    told = {line["event"]: line.get("request_id") for line in lines}
    assert {"ordering the video", "object sent to S3", "video stored"} <= told.keys()
    assert {line.get("video_id") for line in lines} == {video_id}
    assert set(told.values()) == {ID}
    samples = scrape()
    assert samples['videovault_webhook_answers_total{answer="ready",webhook="video"}'] == 1
    assert samples['videovault_transfers_total{outcome="stored"}'] == 1
    assert samples["videovault_transfer_bytes_total"] == row(video_id).size
    assert samples["videovault_transfer_seconds_count"] == 1


@pytest.mark.usefixtures("moto_s3")
def test_a_retry_has_its_own_id(ada: Person, generator: Generator) -> None:
    video_id = store(ada, generator.file("expired.mp4"), headers=AT_ONCE | HEADERS).json()["data"]["videoId"]
    produce(video_id)
    assert row(video_id).status == Status.FAILED
    again = ada.api.post(f"/api/auth/video/{video_id}/retry")
    assert again.status_code == 200
    assert row(video_id).request_id == again.headers["x-request-id"] != ID


@pytest.mark.usefixtures("moto_s3")
def test_what_the_generator_says_later_keeps_the_id_of_the_click(
    ada: Person, generator: Generator, configure: Configure, lines: Lines
) -> None:
    configure(GENERATE_WAIT_SECONDS=0)
    generator.mode, generator.polls_needed = "poll", 0
    ada.api.headers.update(HEADERS)
    video_id = generate(ada).json()["data"]["videoId"]
    structlog.contextvars.clear_contextvars()
    lines.clear()
    pipeline.request_next(enqueue=lambda _video_id: None)
    set_columns(video_id, next_ask_at=utcnow())
    polling.poll(video_id, enqueue=lambda _video_id: None)
    assert (row(video_id).status, row(video_id).request_id) == (Status.QUEUED, ID)
    assert {line.get("request_id") for line in lines} == {ID}
