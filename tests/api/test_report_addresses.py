"""A ``reportUrl`` is the permission to report on one order: once, twice, late, for a deleted video, and never in a log."""

import json
import time
from typing import Any

import httpx
import pytest
from sqlmodel import select

from tests.api.requests import code, delete, gallery, generate
from tests.support import log_grep
from tests.support.documents import ROOT
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from tests.support.waiting import eventually
from videovault import security
from videovault.db import reading
from videovault.models import Video, WebhookCall
from videovault.services.admin import test_order
from videovault.services.core.access import Caller
from videovault.services.generation import callbacks, orders

pytestmark = pytest.mark.usefixtures("moto_s3")
BASE = "https://hooks.example.com:8443"


@pytest.fixture
def path(ada: Person, generator: Generator, configure: Configure) -> str:
    """The path of the address that the generator was given for a video of Ada's."""
    generator.mode = "processing"
    configure(GENERATE_WAIT_SECONDS=0, CALLBACK_URL=BASE)
    orders.send_order(str(generate(ada).json()["data"]["videoId"]))
    eventually(lambda: generator.requests)  # another of the app's threads may have come first
    order = generator.requests[0]
    assert order["callbackUrl"] == f"{BASE}/api/auth/video/status"
    assert order["reportUrl"].startswith(f"{BASE}/api/callback/")
    log_grep.remember(order["reportUrl"].rpartition("/")[2])
    return str(order["reportUrl"].removeprefix(BASE))


def ready(generator: Generator) -> dict[str, Any]:
    return {"status": "completed", "url": generator.video_url}


def video_of(person: Person) -> dict[str, Any]:
    found: dict[str, Any] = gallery(person)["videos"][0]
    return found


def state(person: Person) -> tuple[str, str]:
    video = video_of(person)
    return video["status"], video.get("progress", {}).get("stage", "")


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_service_reports_without_header_cookie_or_documented_body(
    ada: Person, client: httpx.Client, path: str, generator: Generator, method: str, end: str
) -> None:
    """From the host that only generators use, and whatever origin a service in a browser's clothes names."""
    headers = {"Host": "hooks.example.com:8443", "Origin": "https://vendor.example", "Cookie": "a=b"}
    answer = client.request(method, path + end, json=ready(generator), headers=headers)
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "processing")
    assert set(answer.json()["data"]) == {"videoId", "status"}
    assert state(ada) == ("processing", "queued")


def test_it_only_reports(client: httpx.Client, path: str) -> None:
    for method in ("GET", "DELETE", "PATCH"):
        assert client.request(method, path).status_code == 405


def test_the_same_report_again_is_answered_as_before(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    for _ in range(3):
        assert client.post(path, json=ready(generator)).status_code == 200
    assert gallery(ada)["totalCount"] == 1
    assert state(ada) == ("processing", "queued")


@pytest.mark.usefixtures("jobs")
def test_what_comes_after_completion_changes_nothing(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    """Also what contradicts it: a service cannot act on a refusal, and would only repeat the call."""
    client.post(path, json=ready(generator))

    eventually(lambda: video_of(ada)["status"] == "ready", lambda: video_of(ada))
    for body in (ready(generator), {"status": "failed", "error": "Too late"}, {"status": "processing"}, {}):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["data"]["status"]) == (200, "ready")
    assert video_of(ada)["status"] == "ready"


def test_a_failure_is_taken_and_the_video_that_follows_it_too(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    assert client.post(path, json={"status": "failed", "error": "No voice"}).status_code == 200
    assert video_of(ada)["error"] == {"code": "GENERATION_FAILED", "message": "No voice"}
    assert client.post(path, json=ready(generator)).status_code == 200
    assert state(ada) == ("processing", "queued")


def test_a_deleted_video_ends_it(ada: Person, client: httpx.Client, path: str, generator: Generator) -> None:
    assert delete(ada, video_of(ada)["videoId"]).status_code == 200
    for _ in range(2):
        assert code(client.post(path, json=ready(generator))) == (404, "VIDEO_NOT_FOUND")
    assert gallery(ada)["totalCount"] == 0


def test_an_address_that_is_wrong_altered_or_too_old_is_none(
    ada: Person,
    client: httpx.Client,
    path: str,
    generator: Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = security.sign("visit", ["a", 1])
    for wrong in (path[:-1], path[:-1] + "~", path + "x", "/api/callback/x", f"/api/callback/{session}"):
        log_grep.remember(wrong.rpartition("/")[2])
        assert code(client.post(wrong, json=ready(generator))) == (404, "NOT_FOUND")
    much_later = time.time() + callbacks.CALLBACK_TOKEN_TTL.total_seconds() + 60
    monkeypatch.setattr(time, "time", lambda: much_later)
    assert code(client.post(path, json=ready(generator))) == (404, "NOT_FOUND")
    assert state(ada) == ("processing", "generating")


def test_an_earlier_order_is_superseded(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    video_id = video_of(ada)["videoId"]
    assert ada.api.post(f"/api/auth/video/{video_id}/cancel").status_code == 200
    assert generate(ada, videoId=video_id, hook="Look again").status_code == 202
    assert client.post(path, json=ready(generator)).status_code == 200
    assert state(ada) == ("processing", "generating")
    assert kept()[-1].verdict == "superseded"


def test_calls_are_in_the_video_s_history_and_those_that_prove_nothing_in_the_bounded_ring(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    client.post(path, json=ready(generator), headers={"X-Original-Url": path})
    for _ in range(15):
        client.post("/api/callback/forged.token", json=ready(generator))
    proven, *unproven = kept()
    assert (proven.video_id, proven.verdict, proven.outcome) == (
        video_of(ada)["videoId"],
        "accepted",
        "queued",
    )
    assert len(unproven) == 10  # of one address in a minute
    assert {row.video_id for row in unproven} == {None}
    token = path.rpartition("/")[2]
    assert token not in json.dumps([row.model_dump(mode="json") for row in kept()])


def test_the_order_and_an_answer_that_repeats_it_are_kept_without_the_addresses_token(
    admin: Person, path: str
) -> None:
    shown = admin.api.get("/api/admin/deliveries", params={"direction": "out"}).text
    assert path.rpartition("/")[2] not in shown
    with reading() as session:
        rows = session.exec(select(WebhookCall).where(WebhookCall.direction == "out")).all()
    assert [path.rpartition("/")[2] in row.body for row in rows] == [False]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\xfe", b"[" * 100_000, b"not json", b'{"url": "ftp://x/y.mp4"}', b"null", b"[]"],
    ids=range(7),
)
def test_a_body_that_says_nothing_changes_nothing(
    ada: Person, client: httpx.Client, path: str, content: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.post(path, content=content, headers=headers).status_code in (200, 400)
    assert state(ada) == ("processing", "generating")


def test_no_session_helps_and_none_is_needed(bob: Person, path: str, make_client: MakeClient) -> None:
    """The address alone counts, so another person's cookie or token neither opens nor closes it."""
    cookie = make_client(cookies={"videovault_session": bob.token})
    assert cookie.post(path, json={"status": "processing"}).status_code == 200
    assert bob.api.post(path, json={"status": "processing"}).status_code == 200
    assert bob.api.post("/api/callback/forged", json={"status": "processing"}).status_code == 404


def kept() -> list[WebhookCall]:
    """What has reached us, the oldest first."""
    with reading() as session:
        found = select(WebhookCall).where(WebhookCall.direction == "in").order_by(WebhookCall.id)  # type: ignore[arg-type] # a column
        return list(session.exec(found))


def test_a_service_s_own_event_is_read(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    cases = json.loads((ROOT / "tests/gateways/data/callbacks.json").read_text())
    [case] = [case for case in cases if case.get("at") == "reportUrl"]
    body = json.dumps(case["body"]).replace("{host}/file/ok.mp4", generator.video_url)
    headers = {"Content-Type": "application/json"}
    assert client.request(case["method"], path, content=body, headers=headers).status_code == 200
    assert state(ada) == ("processing", "queued")


@pytest.mark.parametrize(
    "body", [{"id": "1", "hello": "there"}, {"status": "done"}, {"id": "1", "hello": "x" * 20_000}]
)
def test_what_is_not_understood_is_taken_without_complaint_and_shown_to_people(
    ada: Person, client: httpx.Client, path: str, body: dict[str, str]
) -> None:
    assert client.post(path, json=body).status_code == 200
    assert state(ada) == ("processing", "generating")
    assert (kept()[-1].verdict, kept()[-1].http_status) == ("unread", 200)
    assert kept()[-1].why
    assert not kept()[-1].is_cut  # it is read again once a field is chosen
    with reading() as session:
        assert session.get_one(Video, video_of(ada)["videoId"]).unread_at


def test_a_test_order_is_reported_there_too(
    admin: Person, client: httpx.Client, generator: Generator
) -> None:
    generator.mode = "processing"
    looking = Caller(user_id=admin.user_id, email=admin.email, is_admin=True)
    test_order.send(looking, test_order.start(looking).id)
    path = "/api/callback/" + generator.requests[-1]["reportUrl"].rpartition("/")[2]
    assert client.post(path, json=ready(generator)).status_code == 200
    seen = test_order.latest(looking)
    assert seen
    assert (seen.steps[-1].name, seen.is_over) == ("Report", True)
    assert path.rpartition("/")[2] not in str(seen)
