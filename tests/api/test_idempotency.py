"""The Idempotency-Key header on the two calls that make a video."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlmodel import select

from tests.api.requests import AT_ONCE, DOWNLOAD, GENERATE, SCRIPT, code, gallery, generate, report, store
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import Person
from tests.support.waiting import eventually
from videovault.api import videos
from videovault.db import reading
from videovault.models import IdempotencyKey

pytestmark = pytest.mark.usefixtures("moto_s3", "probed_once")
KEY = {"Idempotency-Key": "7c0e 2f!~"}


def generate_once(person: Person, **more: Any) -> httpx.Response:
    return person.api.post(GENERATE, json={**SCRIPT, "email": person.email, **more}, headers=KEY)


def store_once(person: Person, url: str, **headers: str) -> httpx.Response:
    return store(person, url, headers={**KEY, **headers})


def is_replay(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotency-replayed") == "true")


def same(first: httpx.Response, second: httpx.Response) -> bool:
    assert not is_replay(first)
    assert is_replay(second)
    return (first.status_code, first.content) == (second.status_code, second.content)


def kept() -> list[IdempotencyKey]:
    with reading() as session:
        return list(session.exec(select(IdempotencyKey)))


@pytest.mark.usefixtures("jobs")
def test_generating_twice_under_one_key_orders_once(ada: Person, generator: Generator) -> None:
    first, second = generate_once(ada), generate_once(ada)
    assert first.status_code == 200
    assert same(first, second)
    assert len(generator.requests) == 1
    assert gallery(ada)["totalCount"] == 1


@pytest.mark.usefixtures("jobs")
def test_storing_twice_under_one_key_repeats_the_response(ada: Person, generator: Generator) -> None:
    first, second = (store_once(ada, generator.video_url) for _ in range(2))
    assert first.status_code == 200
    assert same(first, second)
    assert gallery(ada)["totalCount"] == 1
    assert first.json()["data"]["secretKey"] not in str(kept())


def test_a_202_is_repeated_although_the_video_has_progressed(ada: Person, generator: Generator) -> None:
    first = store_once(ada, generator.video_url, **AT_ONCE)
    ada.api.post(f"/api/auth/video/{first.json()['data']['videoId']}/cancel")
    assert first.status_code == 202
    assert same(first, store_once(ada, generator.video_url))


@pytest.mark.usefixtures("jobs")
def test_a_second_call_during_the_first_is_409_with_retry_after(ada: Person, generator: Generator) -> None:
    generator.mode = "processing"
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(generate_once, ada)
        eventually(lambda: generator.requests)
        second = generate_once(ada)
        assert code(second) == (409, "CONFLICT")
        assert int(second.headers["retry-after"]) > 0
        report(ada.api, ada, generator.requests[0]["videoId"], "ready", videoUrl=generator.video_url)
        assert waiting.result().status_code == 200
    assert same(waiting.result(), generate_once(ada))


def test_differently_formatted_json_is_the_same_body(ada: Person, generator: Generator) -> None:
    first = store_once(ada, generator.video_url, **AT_ONCE)
    body = {"userEmail": ada.email, "videoUrl": generator.video_url}
    for again in (body, dict(reversed(body.items()))):
        raw = json.dumps(again, indent=3).replace("/", "\\/")
        headers = {**KEY, "Content-Type": "application/json"}
        assert same(first, ada.api.post(DOWNLOAD, content=raw, headers=headers))
    for other in ({"ignored": 1}, {"title": None}, {"title": "Other"}):
        assert code(ada.api.post(DOWNLOAD, json=body | other, headers=KEY)) == (400, "INVALID_INPUT")


def test_an_invalid_key_is_400(ada: Person, generator: Generator) -> None:
    cases: list[Any] = [b"", b"k" * 256, "schlüssel".encode(), b"a\x01b"]
    for key in cases:
        body = {"videoUrl": generator.video_url, "userEmail": ada.email}
        answer = ada.api.post(DOWNLOAD, json=body, headers={b"Idempotency-Key": key})
        assert code(answer) == (400, "INVALID_INPUT")
        assert list(answer.json()["error"]["fields"]) == ["Idempotency-Key"]
        assert gallery(ada)["totalCount"] == 0


def test_a_key_of_maximum_length_is_accepted(ada: Person, generator: Generator) -> None:
    headers = {**AT_ONCE, "Idempotency-Key": "k" * 255}
    assert store(ada, generator.video_url, headers=headers).status_code == 202


def test_a_call_that_was_refused_does_not_use_up_its_key(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    assert code(store_once(ada, "http://10.0.0.1/a.mp4")) == (400, "UNSAFE_URL")
    assert store_once(ada, generator.video_url, **AT_ONCE).status_code == 202
    assert code(generate_once(ada, email="bob@example.com")) == (404, "USER_NOT_FOUND")
    configure(VIDEO_WEBHOOK_URL="")
    assert code(generate_once(ada)) == (409, "CONFLICT")
    configure(VIDEO_WEBHOOK_URL=f"{generator.url}/video", GENERATE_WAIT_SECONDS=0)
    assert generate_once(ada).status_code == 202


@pytest.mark.usefixtures("jobs")
def test_a_failed_video_is_repeated_and_not_ordered_twice(ada: Person, generator: Generator) -> None:
    generator.mode = "refuse"
    first = generate_once(ada)
    generator.mode = "direct"
    assert code(first) == (502, "WEBHOOK_FAILED")
    assert same(first, generate_once(ada))
    assert len(generator.requests) == 1


def test_after_an_internal_error_the_key_continues_with_its_video(
    ada: Person, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_video_id: str) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(videos, "enqueue", fail)
        assert code(store_once(ada, generator.video_url, **AT_ONCE)) == (500, "INTERNAL_ERROR")
    (made,) = gallery(ada)["videos"]
    answer = store_once(ada, generator.video_url, **AT_ONCE)
    assert (answer.status_code, is_replay(answer)) == (202, False)
    assert answer.json()["data"]["videoId"] == made["videoId"]


def test_without_a_key_nothing_is_stored(ada: Person, generator: Generator) -> None:
    generate(ada, hook="")
    store(ada, generator.video_url, headers=AT_ONCE)
    assert kept() == []


@pytest.mark.parametrize("path", [GENERATE, DOWNLOAD])
def test_openapi_documents_the_headers(client: httpx.Client, path: str) -> None:
    operation = client.get("/api/openapi.json").json()["paths"][path]["post"]
    assert {entry["name"] for entry in operation["parameters"]} == {"prefer", "Idempotency-Key"}
    answers = operation["responses"]
    for status in ("200", "202"):
        assert answers[status]["content"]["application/json"]["schema"]
        assert set(answers[status]["headers"]) == {"Idempotency-Replayed", "Preference-Applied"}
    assert set(answers["409"]["headers"]) == {"Retry-After"}
