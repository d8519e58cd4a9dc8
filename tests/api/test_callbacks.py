"""Reports on a video's status by its generator, its owner or an admin."""

import json
from typing import Any

import httpx
import pytest

from tests.api.requests import AT_ONCE, STATUS, code, delete, draft, gallery, generate, report, store
from tests.gateways.reply_cases import cases, named
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault import security
from videovault.db import reading
from videovault.models import Video
from videovault.services.generation import orders

pytestmark = pytest.mark.usefixtures("moto_s3", "probed_once")


def test_a_generators_report_of_the_address_begins_storing(
    ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    answer = report(callback, ada, generating, "ready", videoUrl=generator.video_url)
    assert answer.status_code == 202
    assert answer.json()["data"]["progress"]["stage"] == "queued"


@pytest.mark.usefixtures("jobs")
def test_a_late_callback_for_a_stored_video_is_harmless(
    ada: Person, generator: Generator, make_client: MakeClient
) -> None:
    data = store(ada, generator.video_url).json()["data"]
    with reading() as session:
        order = orders.order_of(session.get_one(Video, data["videoId"]))
    late = make_client(headers={"Authorization": f"Bearer {security.callback_token(order)}"})
    answer = report(late, ada, data["videoId"], "ready", videoUrl=generator.file("other.mp4"))
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "ready")
    assert code(report(late, ada, data["videoId"], "failed")) == (409, "CONFLICT")
    assert gallery(ada)["readyCount"] == 1


def test_a_failure_keeps_its_reason(ada: Person, generating: str, callback: httpx.Client) -> None:
    answer = report(callback, ada, generating, "failed", error="The avatar\n has left\x00.")
    assert answer.status_code == 200
    failed = gallery(ada)["videos"][0]
    assert failed["error"] == {"code": "GENERATION_FAILED", "message": "The avatar has left ."}


def test_a_long_failure_reason_is_truncated(ada: Person, generating: str, callback: httpx.Client) -> None:
    assert report(callback, ada, generating, "failed", error="x" * 10_000).status_code == 200
    assert len(gallery(ada)["videos"][0]["error"]["message"]) <= 500


def test_a_callback_token_is_valid_for_one_video_and_endpoint(
    ada: Person, generating: str, callback: httpx.Client, configure: Configure
) -> None:
    configure(SCRIPT_WEBHOOK_URL="")
    other = draft(ada)
    assert code(report(callback, ada, other, "failed")) == (401, "NOT_SIGNED_IN")
    assert code(callback.get(f"/api/auth/video/{generating}")) == (401, "NOT_SIGNED_IN")
    body = {"userId": ada.user_id, "videoId": generating}
    assert code(callback.request("DELETE", "/api/auth/video/delete", json=body)) == (401, "NOT_SIGNED_IN")


def test_a_report_on_a_deleted_video_is_404(
    ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    delete(ada, generating)
    answer = report(callback, ada, generating, "ready", videoUrl=generator.video_url)
    assert code(answer) == (404, "VIDEO_NOT_FOUND")


def test_a_forged_callback_token_is_401(
    ada: Person, generating: str, generator: Generator, make_client: MakeClient
) -> None:
    cases: list[Any] = [lambda t: t[:-2], lambda t: b"x" + t, lambda _: b"a.b.c", lambda _: b"\xe9.."]
    for change in cases:
        token = change(generator.requests[0]["callbackToken"].encode())
        forger = make_client(headers=[(b"Authorization", b"Bearer " + token)])
        assert code(report(forger, ada, generating, "failed")) == (401, "NOT_SIGNED_IN")


def test_an_address_that_must_not_be_fetched_fails_the_video_not_the_server(
    ada: Person, generator: Generator
) -> None:
    del generator
    assert code(store(ada, "http://127.0.0.1:1/a.mp4", headers=AT_ONCE)) == (400, "UNSAFE_URL")


CALLBACKS: list[dict[str, Any]] = [case for case in cases("callbacks") if "at" not in case]


@pytest.mark.parametrize("case", CALLBACKS, ids=named(CALLBACKS))
def test_documented_callback_variants_are_accepted(
    ada: Person, generating: str, callback: httpx.Client, generator: Generator, case: dict[str, Any]
) -> None:
    body: dict[str, Any] = {
        "userId": ada.user_id,
        "videoId": generating,
        "status": "ready",
        "videoUrl": generator.video_url,
        "metadata": {"duration": 3, "size": 5},
    } | case.get("set", {})
    body = {case.get("rename", {}).get(name, name): value for name, value in body.items()}
    body = {name: value for name, value in body.items() if name not in case.get("drop", [])}
    sent: dict[str, Any] = {"json": {"list": [body], "data": {"data": body}}.get(case.get("wrap", ""), body)}
    if case.get("encoding") == "form":
        sent = {"data": body}
    answer = callback.request(case.get("method", "PUT"), case.get("path", STATUS), **sent)
    shown = gallery(ada)["videos"][0]
    if body["status"] == "failed":
        assert (answer.status_code, shown["status"]) == (200, "failed")
        assert shown["error"] == {"code": "GENERATION_FAILED", "message": "too long"}
    else:
        assert (answer.status_code, shown["progress"]["stage"]) == (202, "queued"), answer.text


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
def test_a_generators_own_event_format_is_accepted(
    generating: str, callback: httpx.Client, generator: Generator, content_type: str
) -> None:
    event = {
        "event_type": "avatar_video.success",
        "event_data": {"video_id": "h", "url": generator.video_url},
    }
    headers = {"Content-Type": content_type} if content_type else {}
    answer = callback.post(STATUS, content=json.dumps(event), headers=headers)
    assert (answer.status_code, answer.json()["data"]["videoId"]) == (202, generating)


def test_an_unreadable_report_keeps_the_video_waiting_and_informs_its_owner(
    admin: Person, ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    odd = {"movie": {"a": generator.file("a.mp4"), "b": generator.file("b.mp4")}}
    answer = callback.post(STATUS, json=odd)
    assert code(answer) == (400, "INVALID_INPUT")
    waiting = gallery(ada)["videos"][0]["progress"]
    assert waiting["stage"] == "generating"
    assert "could not read" in waiting["problem"]
    [call] = admin.api.get("/api/admin/deliveries", params={"direction": "in"}).json()["data"]["deliveries"]
    assert (call["verdict"], call["videoId"]) == ("unread", generating)
    assert [field["path"] for field in call["fields"]] == ["movie.a", "movie.b"]
    assert report(callback, ada, generating, "processing").status_code == 200
    assert "problem" not in gallery(ada)["videos"][0]["progress"]


def test_a_report_with_the_video_itself_is_refused(ada: Person, callback: httpx.Client, mp4: bytes) -> None:
    answer = callback.put(STATUS, content=mp4, headers={"Content-Type": "video/mp4"})
    assert code(answer) == (400, "INVALID_INPUT")
    assert "Send the video's address instead" in answer.json()["message"]
    assert gallery(ada)["videos"][0]["progress"]["stage"] == "generating"


def test_an_admin_chooses_the_result_field(
    admin: Person, ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    callback.post(STATUS, json={"movie": {"a": generator.file("a.mp4"), "b": generator.file("b.mp4")}})
    [call] = admin.api.get("/api/admin/deliveries", params={"direction": "in"}).json()["data"]["deliveries"]
    place = f"/api/admin/deliveries/{call['id']}/field"
    assert code(ada.api.post(place, json={"field": "movie.b"})) == (403, "FORBIDDEN")
    assert code(admin.api.post(place, json={"field": "movie.c"})) == (400, "INVALID_INPUT")
    answer = admin.api.post(place, json={"field": "movie.b"})
    assert answer.json()["data"] == {"setting": "VIDEO_RESULT_FIELD=movie.b", "videos": 1}
    with reading() as session:
        assert session.get_one(Video, generating).source_url == generator.file("b.mp4")
    generator.mode = "processing"
    other = str(generate(ada).json()["data"]["videoId"])
    orders.send_order(other)
    token = {"Authorization": f"Bearer {generator.requests[-1]['callbackToken']}"}
    odd = {"movie": {"a": generator.file("a.mp4"), "b": generator.file("c.mp4")}}
    assert callback.post(STATUS, json=odd, headers=token).status_code == 202
    with reading() as session:
        assert session.get_one(Video, other).source_url == generator.file("c.mp4")


def test_a_configured_result_field_takes_precedence_over_a_chosen_one(
    admin: Person,
    ada: Person,
    generating: str,
    callback: httpx.Client,
    generator: Generator,
    configure: Configure,
) -> None:
    odd = {"movie": {"a": generator.file("a.mp4"), "b": generator.file("b.mp4")}}
    callback.post(STATUS, json=odd)
    configure(VIDEO_RESULT_FIELD="movie.a")
    [call] = admin.api.get("/api/admin/deliveries", params={"direction": "in"}).json()["data"]["deliveries"]
    answer = admin.api.post(f"/api/admin/deliveries/{call['id']}/field", json={"field": "movie.b"})
    assert code(answer) == (409, "CONFLICT")
    assert callback.post(STATUS, json=odd).status_code == 202
    with reading() as session:
        assert session.get_one(Video, generating).source_url == generator.file("a.mp4")
    assert gallery(ada)["videos"][0]["progress"]["stage"] == "queued"


def test_a_report_that_names_another_video_changes_neither(
    ada: Person, callback: httpx.Client, generator: Generator
) -> None:
    other = str(generate(ada).json()["data"]["videoId"])
    for body in (
        {"videoId": other, "status": "ready", "videoUrl": generator.video_url},
        [{"data": {"video_id": other, "url": generator.video_url}}],
    ):
        assert code(callback.post(STATUS, json=body)) == (401, "NOT_SIGNED_IN")
    assert {video["progress"]["stage"] for video in gallery(ada)["videos"]} == {"generating"}


def test_an_address_reported_early_is_fetched_when_ready(
    ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    answer = report(callback, ada, generating, "rendering", videoUrl=generator.video_url)
    assert (answer.status_code, gallery(ada)["videos"][0]["progress"]["stage"]) == (200, "generating")
    assert report(callback, ada, generating, "completed").status_code == 202
    with reading() as session:
        video = session.get_one(Video, generating)
        assert (video.source_url, video.expected_url) == (generator.video_url, None)


def test_an_address_over_16_kib_is_refused(
    ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    answer = report(callback, ada, generating, "ready", videoUrl=f"{generator.video_url}?{'a' * 20_000}")
    assert code(answer) == (400, "INVALID_INPUT")
    assert "16 KiB" in answer.json()["message"]
