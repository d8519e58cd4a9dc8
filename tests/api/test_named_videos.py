"""Errors name the video that the call made or is about, unless they say that it does not exist."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from sqlmodel import update

from tests.api.requests import (
    AT_ONCE,
    DELETE,
    GENERATE,
    SCRIPT,
    STATUS,
    code,
    delete,
    generate,
    report,
    store,
)
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from tests.support.s3_proxy import s3_proxy
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import IdempotencyKey, Status, Video
from videovault.services.transfer import pipeline

pytestmark = pytest.mark.usefixtures("moto_s3", "probed_once")
Call = Callable[[Person, str], httpx.Response]


def on(method: str, tail: str = "", **more: object) -> Call:
    """A call to a route with the video's id in its path."""

    def call(person: Person, video_id: str) -> httpx.Response:
        path = f"/api/auth/video/{video_id}{tail}"
        return person.api.request(method, path, **more)  # type: ignore[arg-type]

    return call


REFUSED: dict[str, tuple[Call, tuple[int, str]]] = {
    "retry": (on("POST", "/retry"), (409, "CONFLICT")),
    "download": (on("GET", "/download"), (409, "CONFLICT")),
    "a parameter twice": (on("GET", "/download?inline=1&inline=0"), (400, "INVALID_INPUT")),
    "thumbnail": (on("GET", "/thumbnail"), (409, "CONFLICT")),
    "rename": (on("PATCH", json={"title": ""}), (400, "INVALID_INPUT")),
    "rename without a title": (on("PATCH", json={}), (400, "INVALID_INPUT")),
    "rename by no JSON": (
        on("PATCH", content=b"{", headers={"Content-Type": "application/json"}),
        (400, "INVALID_INPUT"),
    ),
    "share": (on("POST", "/share", json={"mostViews": 0}), (400, "INVALID_INPUT")),
    "report": (lambda ada, video: report(ada.api, ada, video, "ready"), (409, "CONFLICT")),
    "wrong report": (lambda ada, video: report(ada.api, ada, video, "done?"), (400, "INVALID_INPUT")),
    "someone else's": (
        lambda ada, video: ada.api.put(
            STATUS, json={"userId": "another", "videoId": video, "status": "failed"}
        ),
        (403, "FORBIDDEN"),
    ),
    "delete as another": (
        lambda ada, video: ada.api.request("DELETE", DELETE, json={"userId": "other", "videoId": video}),
        (403, "FORBIDDEN"),
    ),
    "delete without an owner": (
        lambda ada, video: ada.api.request("DELETE", DELETE, json={"videoId": video}),
        (400, "INVALID_INPUT"),
    ),
    "rescue": (
        lambda ada, video: ada.api.post(
            f"/api/admin/videos/{video}/rescue", json={"videoUrl": "http://10.0.0.1/a.mp4"}
        ),
        (403, "FORBIDDEN"),
    ),
    "continue a draft without a hook": (
        lambda ada, video: generate(ada, hook="", videoId=video),
        (400, "INVALID_INPUT"),
    ),
    "continue a draft without an avatar": (
        lambda ada, video: ada.api.post(GENERATE, json={"videoId": video, "hook": "x"}),
        (400, "INVALID_INPUT"),
    ),
}


@pytest.mark.usefixtures("generator")
def test_refusals_name_their_video(ada: Person, generating: str) -> None:
    for name, (call, expected) in REFUSED.items():
        answer = call(ada, generating)
        assert (code(answer), answer.json()["error"].get("videoId")) == (expected, generating), name


def test_a_401_repeats_the_video_id_of_the_request(make_client: MakeClient, generating: str) -> None:
    answer = make_client().get(f"/api/auth/video/{generating}")
    assert (code(answer), answer.json()["error"]["videoId"]) == ((401, "NOT_SIGNED_IN"), generating)


def test_a_404_names_no_video(ada: Person, bob: Person, generating: str) -> None:
    absent = on("GET")(ada, "video_1700000000000_abcdefghi").json()
    foreign = on("GET")(bob, generating).json()
    assert absent == foreign
    assert absent["error"] == {"code": "VIDEO_NOT_FOUND"}
    assert "videoId" not in on("GET")(ada, "no id!").json()["error"]


@pytest.mark.parametrize("name", ["page.mp4"])
def test_a_delivered_address_is_200_although_storing_failed(
    ada: Person, generator: Generator, configure: Configure, name: str
) -> None:
    """The server died during the first call; the second continues with its video."""
    configure(GENERATE_WAIT_SECONDS=0)
    generator.address = lambda _video: generator.file(name)
    sent = {"json": {**SCRIPT, "email": ada.email}, "headers": {"Idempotency-Key": "one"}}
    video_id = ada.api.post(GENERATE, **sent).json()["data"]["videoId"]  # type: ignore[arg-type]
    pipeline.produce(video_id, stopping=lambda: False)
    with transaction() as session:
        assert session.get_one(Video, video_id).status == Status.FAILED
        unanswered = {"status_code": None, "sealed_answer": None, "lease_until": utcnow()}
        session.execute(update(IdempotencyKey).values(**unanswered))
    answer = ada.api.post(GENERATE, **sent)  # type: ignore[arg-type]
    data = answer.json()["data"]
    assert (answer.status_code, data["videoUrl"], data["videoId"]) == (200, generator.file(name), video_id)


@pytest.mark.usefixtures("jobs")
def test_a_failure_names_the_video_just_made(ada: Person, generator: Generator) -> None:
    generator.mode = "refuse"
    answer = generate(ada)
    assert code(answer) == (502, "WEBHOOK_FAILED")
    assert answer.json()["error"]["videoId"] == generator.requests[0]["videoId"]
    answer = store(ada, generator.file("page.mp4"))
    assert code(answer) == (422, "SOURCE_FAILED")
    assert answer.json()["error"]["videoId"].startswith("video_")


def test_a_key_in_use_names_the_video_of_its_first_call(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    configure(GENERATE_WAIT_SECONDS=0)
    key = {"Idempotency-Key": "one"}
    url = generator.video_url
    first = store(ada, url, headers={**key, **AT_ONCE}).json()["data"]["videoId"]
    other = store(ada, generator.file("other.mp4"), headers=key)
    assert (code(other), other.json()["error"]["videoId"]) == ((400, "INVALID_INPUT"), first)
    with transaction() as session:
        running = {"status_code": None, "sealed_answer": None, "lease_until": utcnow() + timedelta(minutes=1)}
        session.execute(update(IdempotencyKey).values(**running))
    again = store(ada, url, headers={**key, **AT_ONCE})
    assert (code(again), again.json()["error"]["videoId"]) == ((409, "CONFLICT"), first)


def test_a_failed_deletion_names_its_video(
    ada: Person, stored: str, moto_server: str, configure: Configure
) -> None:
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.refuse = {"GET": [(403, "AccessDenied")]}
        answer = delete(ada, stored)
    assert (code(answer), answer.json()["error"]["videoId"]) == ((502, "STORAGE_FAILED"), stored)
