"""Scripts, videos and the daily budget, with a real generator on loopback and real jobs."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio.to_thread
import httpx
import pytest
from sqlmodel import select

from tests.api.requests import BRIEF, GENERATE, SCRIPT, code, draft, gallery, generate, report, store
from tests.api.test_long_polling import Site, run
from tests.support.generator import SCRIPT as WRITTEN
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from tests.support.waiting import eventually
from videovault.db import reading
from videovault.models import Video
from videovault.services.accounts.accounts import authenticate
from videovault.services.generation import budget, orders

pytestmark = pytest.mark.usefixtures("moto_s3", "probed_once")


def test_a_brief_becomes_a_draft_with_a_script(ada: Person, generator: Generator) -> None:
    answer = ada.api.post("/api/auth/create-video", json={**BRIEF, "email": ada.email})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert {**WRITTEN, "videoId": data["videoId"], "status": "draft"} == data
    assert generator.requests == [{**BRIEF, "email": ada.email}]
    assert [video["videoId"] for video in gallery(ada, status="draft")["videos"]] == [data["videoId"]]


def test_a_failing_script_webhook_is_502(ada: Person, generator: Generator) -> None:
    generator.script_mode = "refuse"
    answer = ada.api.post("/api/auth/create-video", json={**BRIEF, "email": ada.email})
    assert code(answer) == (502, "WEBHOOK_FAILED")
    assert "This avatar is not known." in answer.json()["message"]
    assert gallery(ada, status="draft")["videos"] == []


@pytest.mark.usefixtures("jobs")
def test_an_address_in_time_gives_the_guides_ready_answer(ada: Person, generator: Generator) -> None:
    answer = generate(ada)
    assert answer.status_code == 200
    said = answer.json()
    video_id = said["data"].pop("videoId")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["data"].pop("timestamp"))
    assert said == {
        "success": True,
        "message": "Video generated successfully",
        "data": {"videoUrl": generator.video_url, "status": "ready"},
    }
    assert generator.requests[0].items() >= {**SCRIPT, "email": ada.email, "videoId": video_id}.items()
    eventually(lambda: gallery(ada)["readyCount"] == 1)


@pytest.mark.usefixtures("jobs")
def test_a_video_in_the_reply_gets_our_link_and_is_stored_once(ada: Person, generator: Generator) -> None:
    generator.mode = "film"
    answer = generate(ada)
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert httpx.get(data["videoUrl"]).content == generator.film
    stored = store(ada, data["videoUrl"])
    assert (stored.status_code, stored.json()["data"]["videoId"]) == (200, data["videoId"])
    assert gallery(ada)["totalCount"] == 1


@pytest.mark.usefixtures("jobs", "generator")
def test_downloading_the_generated_video_stores_no_second_one(ada: Person) -> None:
    data = generate(ada).json()["data"]
    for _ in range(2):  # during storing, most likely, and after it
        stored = store(ada, data["videoUrl"])
        assert stored.status_code == 200
        assert stored.json()["data"]["videoId"] == data["videoId"]
    assert gallery(ada)["totalCount"] == 1


def test_no_address_in_time_gives_the_guides_processing_answer(ada: Person, generator: Generator) -> None:
    """The wait ends after the generator has given an estimate."""
    generator.mode = "processing"

    async def use(site: Site) -> None:
        waiting = site.generate(1)
        await site.all_wait(1)
        with reading() as session:
            video_id = session.exec(select(Video.id)).one()
        await anyio.to_thread.run_sync(orders.send_order, video_id)
        site.watcher.close()
        answer = await waiting
        said = answer.json()
        assert answer.status_code == 202
        assert said["message"] == "Video generation request submitted successfully"
        assert said["data"].items() >= {"status": "processing", "estimatedTime": 3}.items()
        assert said["data"]["message"].endswith("This process typically takes 3 minutes.")

    run(ada, use)


def test_without_an_estimate_fifteen_minutes_are_expected(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    configure(GENERATE_WAIT_SECONDS=0)
    data = generate(ada).json()["data"]
    assert data["estimatedTime"] == 15
    assert isinstance(data["estimatedTime"], int)
    assert data["message"] == ("Your video is being generated. This process typically takes 15 minutes.")
    assert generator.requests == []  # no worker runs in this test


@pytest.mark.usefixtures("jobs")
def test_a_callback_ends_the_wait_with_the_address(
    ada: Person, generator: Generator, make_client: MakeClient
) -> None:
    generator.mode = "processing"
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(generate, ada)
        eventually(lambda: generator.requests)
        asked = generator.requests[0]
        callback = make_client(headers={"Authorization": f"Bearer {asked['callbackToken']}"})
        answer = report(callback, ada, asked["videoId"], "ready", videoUrl=generator.video_url)
        assert answer.status_code == 202
        assert waiting.result().json()["data"]["videoUrl"] == generator.video_url


@pytest.mark.usefixtures("jobs")
def test_a_generation_that_fails_while_the_call_waits_is_502(ada: Person, generator: Generator) -> None:
    generator.mode = "refuse"
    answer = generate(ada)
    assert code(answer) == (502, "WEBHOOK_FAILED")
    assert "This avatar is not known." in answer.json()["message"]
    assert gallery(ada)["failedCount"] == 1


@pytest.mark.usefixtures("jobs")
def test_cancelling_while_the_call_waits_ends_it_with_409(ada: Person, generator: Generator) -> None:
    generator.mode = "processing"
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(generate, ada)
        eventually(lambda: generator.requests)
        video_id = generator.requests[0]["videoId"]
        assert ada.api.post(f"/api/auth/video/{video_id}/cancel").status_code == 200
        assert code(waiting.result()) == (409, "CONFLICT")


@pytest.mark.usefixtures("jobs")
def test_a_continued_draft_is_ordered_once(ada: Person, generator: Generator) -> None:
    video_id = draft(ada)
    first, second = generate(ada, videoId=video_id), generate(ada, videoId=video_id)
    assert first.json()["data"]["videoId"] == second.json()["data"]["videoId"] == video_id
    assert len([said for said in generator.requests if "callbackUrl" in said]) == 1
    eventually(lambda: gallery(ada)["readyCount"] == 1)
    assert gallery(ada)["totalCount"] == 1


@pytest.mark.usefixtures("jobs")
def test_a_failed_generation_is_retried_with_the_same_input(ada: Person, generator: Generator) -> None:
    generator.mode = "refuse"
    generate(ada)
    generator.mode = "direct"
    video_id = gallery(ada)["videos"][0]["videoId"]
    answer = ada.api.post(f"/api/auth/video/{video_id}/retry")
    assert answer.json()["data"]["status"] == "processing"
    eventually(lambda: gallery(ada)["readyCount"] == 1)
    first, second = generator.requests
    assert first["hook"] == second["hook"] == SCRIPT["hook"]
    assert len(set(generator.idempotency_keys)) == 2


def test_another_email_address_is_404_with_or_without_an_account(
    bob: Person, ada: Person, generator: Generator
) -> None:
    del bob
    paths: list[Any] = [GENERATE, "/api/auth/create-video"]
    emails: list[Any] = ["nobody@example.com", "bob@example.com", "admin@example.com"]
    for path in paths:
        for email in emails:
            answer = ada.api.post(path, json={**BRIEF, **SCRIPT, "email": email})
            assert code(answer) == (404, "USER_NOT_FOUND")
            assert generator.requests == []


def test_generating_without_a_generator_is_409(ada: Person, configure: Configure) -> None:
    configure(VIDEO_WEBHOOK_URL="", SCRIPT_WEBHOOK_URL="")
    assert code(generate(ada)) == (409, "CONFLICT")
    assert ada.api.get(f"/api/auth/video/{draft(ada)}").json()["data"]["status"] == "draft"


def test_retrying_a_failed_render_orders_it_again(ada: Person, generator: Generator, jobs: None) -> None:
    del jobs
    generator.mode = "refuse"
    assert generate(ada).status_code == 502
    assert gallery(ada)["videos"][0]["retry"] == "generation"


@pytest.mark.usefixtures("generator")
def test_an_exhausted_budget_is_429_until_tomorrow(ada: Person, bob: Person, configure: Configure) -> None:
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY=1)
    assert generate(ada).status_code == 202
    refused = generate(ada)
    assert code(refused) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["retry-after"]) <= 24 * 3600
    assert generate(bob).status_code == 202


@pytest.mark.usefixtures("generator")
def test_the_budget_applies_without_rate_limits(ada: Person, configure: Configure) -> None:
    """The budget bounds costs; rate limits are switched off for load tests."""
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY_TOTAL=1, RATE_LIMITS="off")
    assert [generate(ada).status_code for _ in range(2)] == [202, 429]


@pytest.mark.usefixtures("generator")
def test_an_idempotent_repeat_counts_once(ada: Person, configure: Configure) -> None:
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY=2)
    body, key = {**SCRIPT, "email": ada.email}, {"Idempotency-Key": "one"}
    answers = [ada.api.post(GENERATE, json=body, headers=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["data"]["videoId"] for answer in answers}) == 1
    assert budget.remaining(authenticate(ada.token)).left == 1


@pytest.mark.usefixtures("generator")
def test_a_call_refused_for_its_budget_may_be_repeated_under_its_key(
    ada: Person, configure: Configure
) -> None:
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY=1)
    generate(ada)
    body, key = {**SCRIPT, "email": ada.email}, {"Idempotency-Key": "two"}
    assert ada.api.post(GENERATE, json=body, headers=key).status_code == 429
    configure(GENERATIONS_PER_DAY=2)
    assert ada.api.post(GENERATE, json=body, headers=key).status_code == 202
