"""The two webhooks over HTTP, with a real generator on loopback and real jobs."""

import re
from concurrent.futures import ThreadPoolExecutor

import anyio.to_thread
import httpx
import pytest
from sqlmodel import select

from tests.api.requests import BRIEF, GENERATE, SCRIPT, code, draft, gallery, generate, report, store
from tests.api.test_video_watcher import Site, run
from tests.support.generator import SCRIPT as WRITTEN
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from tests.support.waiting import eventually
from videovault.db import reading
from videovault.models import Video
from videovault.services.generation import orders

pytestmark = pytest.mark.usefixtures("moto_s3")


def test_a_brief_becomes_a_script_that_is_kept_as_a_draft(ada: Person, generator: Generator) -> None:
    answer = ada.api.post("/api/auth/create-video", json={**BRIEF, "email": ada.email})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert {**WRITTEN, "videoId": data["videoId"], "status": "draft"} == data
    assert generator.requests == [{**BRIEF, "email": ada.email}]
    assert [video["videoId"] for video in gallery(ada, status="draft")["videos"]] == [data["videoId"]]


def test_a_script_webhook_that_fails_is_502_and_says_so(ada: Person, generator: Generator) -> None:
    generator.script_mode = "refuse"
    answer = ada.api.post("/api/auth/create-video", json={**BRIEF, "email": ada.email})
    assert code(answer) == (502, "WEBHOOK_FAILED")
    assert "This avatar is not known." in answer.json()["message"]
    assert gallery(ada, status="draft")["videos"] == []


@pytest.mark.usefixtures("jobs")
def test_a_url_in_time_is_the_guides_ready_answer(ada: Person, generator: Generator) -> None:
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
def test_a_video_that_is_the_answer_is_given_a_link_of_ours_and_stored_once(
    ada: Person, generator: Generator
) -> None:
    generator.mode = "film"
    answer = generate(ada)
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert httpx.get(data["videoUrl"]).content == generator.film
    stored = store(ada, data["videoUrl"])
    assert (stored.status_code, stored.json()["data"]["videoId"]) == (200, data["videoId"])
    assert gallery(ada)["totalCount"] == 1


@pytest.mark.usefixtures("jobs", "generator")
def test_the_guides_next_step_finds_the_generated_video_and_stores_no_second_one(ada: Person) -> None:
    data = generate(ada).json()["data"]
    for _ in range(2):  # while it is being stored, most likely, and certainly afterwards
        stored = store(ada, data["videoUrl"])
        assert stored.status_code == 200
        assert stored.json()["data"]["videoId"] == data["videoId"]
    assert gallery(ada)["totalCount"] == 1


def test_no_url_in_time_is_the_guides_processing_answer(ada: Person, generator: Generator) -> None:
    """The wait ends once the generator has said how long it takes."""
    generator.mode = "processing"

    async def use(site: Site) -> None:
        waiting = site.generate(1)
        await site.all_wait(1)
        with reading() as session:
            video_id = session.exec(select(Video.id)).one()
        await anyio.to_thread.run_sync(orders.send_order, video_id)
        site.watch.close()
        answer = await waiting
        said = answer.json()
        assert answer.status_code == 202
        assert said["message"] == "Video generation request submitted successfully"
        assert said["data"].items() >= {"status": "processing", "estimatedTime": 3}.items()
        assert said["data"]["message"].endswith("This process typically takes 3 minutes.")

    run(ada, use)


def test_without_a_word_of_the_generator_fifteen_minutes_are_expected(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    configure(GENERATE_WAIT_SECONDS=0)
    data = generate(ada).json()["data"]
    assert data["estimatedTime"] == 15
    assert isinstance(data["estimatedTime"], int)
    assert data["message"] == ("Your video is being generated. This process typically takes 15 minutes.")
    assert generator.requests == []  # no worker runs in this test


@pytest.mark.usefixtures("jobs")
def test_a_callback_while_the_call_waits_gives_the_url(
    ada: Person, generator: Generator, make_client: MakeClient
) -> None:
    generator.mode = "processing"
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(generate, ada)
        eventually(lambda: generator.requests)
        asked = generator.requests[0]
        called_back = make_client(headers={"Authorization": f"Bearer {asked['callbackToken']}"})
        answer = report(called_back, ada, asked["videoId"], "ready", videoUrl=generator.video_url)
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
def test_a_draft_that_is_continued_stays_one_video_and_is_paid_for_once(
    ada: Person, generator: Generator
) -> None:
    video_id = draft(ada)
    first, second = generate(ada, videoId=video_id), generate(ada, videoId=video_id)
    assert first.json()["data"]["videoId"] == second.json()["data"]["videoId"] == video_id
    assert len([said for said in generator.requests if "callbackUrl" in said]) == 1
    eventually(lambda: gallery(ada)["readyCount"] == 1)
    assert gallery(ada)["totalCount"] == 1


@pytest.mark.usefixtures("jobs")
def test_a_failed_generation_can_be_tried_again_with_all_its_input(ada: Person, generator: Generator) -> None:
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


@pytest.mark.parametrize("email", ["nobody@example.com", "bob@example.com", "admin@example.com"])
@pytest.mark.parametrize("path", [GENERATE, "/api/auth/create-video"])
def test_somebody_elses_address_is_not_found_whether_it_has_an_account_or_not(
    bob: Person, ada: Person, generator: Generator, path: str, email: str
) -> None:
    del bob
    answer = ada.api.post(path, json={**BRIEF, **SCRIPT, "email": email})
    assert code(answer) == (404, "USER_NOT_FOUND")
    assert generator.requests == []


def test_without_a_generator_generating_is_a_conflict(ada: Person, configure: Configure) -> None:
    configure(VIDEO_WEBHOOK_URL="", SCRIPT_WEBHOOK_URL="")
    assert code(generate(ada)) == (409, "CONFLICT")
    assert ada.api.get(f"/api/auth/video/{draft(ada)}").json()["data"]["status"] == "draft"


def test_trying_a_render_again_that_brought_nothing_says_so_before(
    ada: Person, generator: Generator, jobs: None
) -> None:
    del jobs
    generator.mode = "refuse"
    assert generate(ada).status_code == 502
    assert gallery(ada)["videos"][0]["retry"] == "generation"
