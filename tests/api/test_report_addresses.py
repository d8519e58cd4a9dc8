"""A ``reportUrl`` authorises reports on one order: repeated, late, or for a deleted video; and it is never logged."""

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

pytestmark = pytest.mark.usefixtures("moto_s3", "probed_once")
BASE = "https://hooks.example.com:8443"


@pytest.fixture
def path(ada: Person, generator: Generator, configure: Configure) -> str:
    """The path of the report URL of one of Ada's videos."""
    generator.mode = "processing"
    configure(GENERATE_WAIT_SECONDS=0, CALLBACK_URL=BASE)
    orders.send_order(str(generate(ada).json()["data"]["videoId"]))
    eventually(lambda: generator.requests)  # another thread of the application may have sent it
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
    """On the generators' host name, and with any origin."""
    headers = {"Host": "hooks.example.com:8443", "Origin": "https://vendor.example", "Cookie": "a=b"}
    answer = client.request(method, path + end, json=ready(generator), headers=headers)
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "processing")
    assert set(answer.json()["data"]) == {"videoId", "status"}
    assert state(ada) == ("processing", "queued")


def test_a_report_url_accepts_reports_only(client: httpx.Client, path: str) -> None:
    for method in ("GET", "DELETE", "PATCH"):
        assert client.request(method, path).status_code == 405


def test_a_repeated_report_gets_the_same_response(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    for _ in range(3):
        assert client.post(path, json=ready(generator)).status_code == 200
    assert gallery(ada)["totalCount"] == 1
    assert state(ada) == ("processing", "queued")


@pytest.mark.usefixtures("jobs")
def test_reports_after_completion_change_nothing(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    """Contradicting reports too: a service cannot act on a refusal and would only repeat the call."""
    client.post(path, json=ready(generator))

    eventually(lambda: video_of(ada)["status"] == "ready", lambda: video_of(ada))
    for body in (ready(generator), {"status": "failed", "error": "Too late"}, {"status": "processing"}, {}):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["data"]["status"]) == (200, "ready")
    assert video_of(ada)["status"] == "ready"


def test_a_video_reported_after_a_failure_is_stored(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    assert client.post(path, json={"status": "failed", "error": "No voice"}).status_code == 200
    assert video_of(ada)["error"] == {"code": "GENERATION_FAILED", "message": "No voice"}
    assert client.post(path, json=ready(generator)).status_code == 200
    assert state(ada) == ("processing", "queued")


def test_deleting_the_video_invalidates_its_report_url(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    assert delete(ada, video_of(ada)["videoId"]).status_code == 200
    for _ in range(2):
        assert code(client.post(path, json=ready(generator))) == (404, "VIDEO_NOT_FOUND")
    assert gallery(ada)["totalCount"] == 0


def test_wrong_altered_and_expired_report_urls_are_404(
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


def test_a_report_on_an_earlier_order_is_superseded(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    video_id = video_of(ada)["videoId"]
    assert ada.api.post(f"/api/auth/video/{video_id}/cancel").status_code == 200
    assert generate(ada, videoId=video_id, hook="Look again").status_code == 202
    assert client.post(path, json=ready(generator)).status_code == 200
    assert state(ada) == ("processing", "generating")
    assert logged()[-1].verdict == "superseded"


def test_valid_calls_are_in_the_videos_history_and_others_are_bounded(
    ada: Person, client: httpx.Client, path: str, generator: Generator
) -> None:
    client.post(path, json=ready(generator), headers={"X-Original-Url": path})
    for _ in range(15):
        client.post("/api/callback/forged.token", json=ready(generator))
    valid, *others = logged()
    assert (valid.video_id, valid.verdict, valid.outcome) == (
        video_of(ada)["videoId"],
        "accepted",
        "queued",
    )
    assert len(others) == 10  # the limit of one address per minute
    assert {row.video_id for row in others} == {None}
    token = path.rpartition("/")[2]
    assert token not in json.dumps([row.model_dump(mode="json") for row in logged()])


def test_logged_orders_and_replies_omit_the_report_urls_token(admin: Person, path: str) -> None:
    shown = admin.api.get("/api/admin/deliveries", params={"direction": "out"}).text
    assert path.rpartition("/")[2] not in shown
    with reading() as session:
        rows = session.exec(select(WebhookCall).where(WebhookCall.direction == "out")).all()
    assert [path.rpartition("/")[2] in row.body for row in rows] == [False]


def test_an_empty_or_unreadable_report_changes_nothing(ada: Person, client: httpx.Client, path: str) -> None:
    cases: list[Any] = [
        b"",
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b"not json",
        b'{"url": "ftp://x/y.mp4"}',
        b"null",
        b"[]",
    ]
    for content in cases:
        headers = {"Content-Type": "application/json"}
        assert client.post(path, content=content, headers=headers).status_code in (200, 400)
        assert state(ada) == ("processing", "generating")


def test_report_urls_ignore_sessions(bob: Person, path: str, make_client: MakeClient) -> None:
    """Another user's cookie or token neither allows nor prevents a report."""
    cookie = make_client(cookies={"videovault_session": bob.token})
    assert cookie.post(path, json={"status": "processing"}).status_code == 200
    assert bob.api.post(path, json={"status": "processing"}).status_code == 200
    assert bob.api.post("/api/callback/forged", json={"status": "processing"}).status_code == 404


def logged() -> list[WebhookCall]:
    """The logged incoming calls, oldest first."""
    with reading() as session:
        found = select(WebhookCall).where(WebhookCall.direction == "in").order_by(WebhookCall.id)  # type: ignore[arg-type] # a column
        return list(session.exec(found))


def test_a_services_own_event_format_is_accepted_at_its_report_url(
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
def test_unreadable_reports_are_accepted_and_shown_to_people(
    ada: Person, client: httpx.Client, path: str, body: dict[str, str]
) -> None:
    assert client.post(path, json=body).status_code == 200
    assert state(ada) == ("processing", "generating")
    assert (logged()[-1].verdict, logged()[-1].http_status) == ("unread", 200)
    assert logged()[-1].why
    assert not logged()[-1].is_cut  # it is parsed again once a field is chosen
    with reading() as session:
        assert session.get_one(Video, video_of(ada)["videoId"]).unread_at


def test_test_orders_accept_reports_at_their_report_url(
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
