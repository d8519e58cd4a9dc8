"""The audit log and the request log: caller, client address behind a proxy, and action."""

import httpx
import pytest
from sqlalchemy import event
from sqlmodel import col, select
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.api.requests import code
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault import db
from videovault.db import reading, transaction
from videovault.errors import DiskFull
from videovault.models import Event
from videovault.services.core import rate_limits

CLIENT = "203.0.113.7"
FORWARDED = {"X-Forwarded-For": f"6.6.6.6, {CLIENT}"}  # addresses before the last one may be forged
pytestmark = pytest.mark.usefixtures("moto_s3")
GALLERY = "/api/auth/video/gallery"


def events(kind: str) -> list[Event]:
    with reading() as session:
        return list(session.exec(select(Event).where(Event.kind == kind).order_by(col(Event.id))))


def test_the_request_log_names_client_user_and_credential(ada: Person, make_client: MakeClient) -> None:
    made = ada.api.post("/api/auth/tokens", json={"name": "Nightly"}).json()["data"]
    program = make_client(headers=FORWARDED)
    with capture_logs([merge_contextvars]) as lines:
        ada.api.get("/api/auth/me", headers=FORWARDED)
        program.get("/api/auth/me", headers={"Authorization": f"Bearer {made['token']}"})
        program.get("/api/auth/me", headers={"Authorization": "Bearer vv_wrong"})
        program.post("/api/auth/login", json={"email": ada.email, "password": "correct horse"})
        program.get("/api/auth/me", headers={"Cookie": "videovault_session=", "Authorization": ""})
    requests = [line for line in lines if line["event"] == "request"]
    seen = [(line["status"], line.get("by"), line.get("user_id"), line["client_ip"]) for line in requests]
    assert seen[:4] == [
        (200, "session", ada.user_id, CLIENT),
        (200, "token", ada.user_id, CLIENT),
        (401, "token", None, CLIENT),
        (200, "password", ada.user_id, CLIENT),
    ]
    assert all(line["request_id"] and line["method"] and line["path"] for line in requests)


def test_sign_ins_are_recorded_with_the_clients_address(
    ada: Person, make_client: MakeClient, configure: Configure
) -> None:
    configure(RATE_LIMITS="off")
    browser = make_client(headers=FORWARDED)
    for email in (ada.email, ada.email, "nobody@example.com"):
        assert browser.post("/api/auth/login", json={"email": email, "password": "wrong"}).status_code == 401
    browser.post("/api/auth/login", json={"email": ada.email, "password": "correct horse"})
    failed = [(each.actor_id, each.client_ip, each.times) for each in events("login_failed")]
    assert failed == [(ada.user_id, CLIENT, 2), (None, CLIENT, 1)]
    [good] = events("login")
    assert (good.actor_id, good.client_ip) == (ada.user_id, CLIENT)


def test_failed_confirmations_are_recorded(ada: Person, make_client: MakeClient) -> None:
    with capture_logs() as lines:
        body = {"currentPassword": "wrong horse", "newPassword": "battery staple"}
        ada.api.post("/api/auth/password", json=body, headers=FORWARDED)
        body = {"token": "made.up.token", "password": "battery staple"}
        make_client(headers=FORWARDED).post("/api/auth/reset", json=body)
    assert [(each.actor_id, each.client_ip) for each in events("confirmation_failed")] == [
        (ada.user_id, CLIENT)
    ]
    assert [each.client_ip for each in events("reset_failed")] == [CLIENT]
    refused = [line["event"] for line in lines if "refused" in line["event"]]
    assert refused == [f"password refused from {CLIENT}", f"password reset refused from {CLIENT}"]


def test_links_and_downloads_are_recorded_once_an_hour(stored: str, ada: Person) -> None:
    for _ in range(30):
        ada.api.get(GALLERY, params={"userId": ada.user_id}, headers=FORWARDED)
    for _ in range(3):
        ada.api.get(f"/api/auth/video/{stored}/download", headers=FORWARDED)
        ada.api.get(f"/api/auth/video/{stored}/download?inline=1", headers=FORWARDED)
    seen = [(each.video_id, each.client_ip, each.times) for each in events("links")]
    assert seen == [(None, CLIENT, 30), (stored, CLIENT, 3)]
    assert [(each.video_id, each.times) for each in events("download")] == [(stored, 3)]


def test_links_are_limited_by_account(stored: str, ada: Person, bob: Person) -> None:
    for _ in range(1200 - 4):
        rate_limits.check(rate_limits.LINKS, "links", ada.user_id)
    paths = (f"/api/auth/video/{stored}", f"/api/auth/video/{stored}/download", GALLERY)
    answers = [ada.api.get(path, params={"userId": ada.user_id}) for path in (*paths, *paths)]
    assert [answer.status_code for answer in answers] == [200, 302, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"]
    assert bob.api.get(GALLERY, params={"userId": bob.user_id}).status_code == 200


def test_admins_filter_by_address(stored: str, ada: Person, admin: Person) -> None:
    ada.api.get(f"/api/auth/video/{stored}/download", headers=FORWARDED)
    ada.api.get(f"/api/auth/video/{stored}", headers={"X-Forwarded-For": "203.0.113.70"})

    def found(address: str) -> list[tuple[str, str]]:
        answer = admin.api.get("/api/admin/events", params={"clientIp": address}).json()
        return [(entry["kind"], entry["clientIp"]) for entry in answer["data"]["entries"]]

    assert found(CLIENT) == [("download", CLIENT)]
    assert found("203.0.113.") == [("links", "203.0.113.70"), ("download", CLIENT)]
    assert found("203_0") == found("6.6.6.6") == []


def test_on_a_full_disk_the_gallery_works_but_secret_keys_are_not_revealed(
    stored: str, ada: Person, admin: Person
) -> None:
    """SQLite refuses to grow, as on a full disk."""

    def full(connection: object, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined] # SQLite's

    event.listen(db.engine(), "connect", full)
    db.engine().dispose()
    with pytest.raises(DiskFull):
        _fill()
    with capture_logs([merge_contextvars]) as lines:
        answer = ada.api.get(GALLERY, params={"userId": ada.user_id}, headers=FORWARDED)
        assert answer.json()["data"]["videos"][0]["downloadUrl"]
        assert ada.api.get(f"/api/auth/video/{stored}/download", headers=FORWARDED).status_code == 302
        refused = admin.api.get(f"/api/auth/video/{stored}/secret-key")
    assert refused.status_code >= 500
    assert "secretKey" not in refused.text
    logged = [
        (line["kind"], line["actor_id"], line["client_ip"])
        for line in lines
        if line["event"] == "event not recorded"
    ]
    assert logged == [("links", ada.user_id, CLIENT), ("download", ada.user_id, CLIENT)]


def _fill() -> None:
    while True:
        with transaction() as session:
            session.add(Event(kind="metadata", detail={"filler": "x" * 100}))


def test_an_admin_ends_all_sessions_of_a_user_but_no_tokens(
    ada: Person, admin: Person, make_client: MakeClient
) -> None:
    made = ada.api.post("/api/auth/tokens", json={"name": "Nightly"}).json()["data"]["token"]
    program = make_client(headers={"Authorization": f"Bearer {made}"})
    make_client().post("/api/auth/login", json={"email": ada.email, "password": "correct horse"})
    answer = admin.api.delete(f"/api/admin/users/{ada.user_id}/sessions", headers=FORWARDED)
    assert answer.json()["data"] == {"endedSessions": 2}
    assert code(ada.api.get("/api/auth/me")) == (401, "NOT_SIGNED_IN")
    assert program.get("/api/auth/me").status_code == 200
    assert admin.api.get("/api/auth/me").status_code == 200
    [entry] = events("sessions_ended")
    assert (entry.actor_id, entry.client_ip) == (admin.user_id, CLIENT)
    assert entry.detail == {"userId": ada.user_id, "ended": 2}


def test_only_a_signed_in_admin_ends_sessions(
    ada: Person, bob: Person, admin: Person, make_client: MakeClient
) -> None:
    path = f"/api/admin/users/{ada.user_id}/sessions"
    made = admin.api.post("/api/auth/tokens", json={"name": "Nightly"}).json()["data"]["token"]
    program: httpx.Client = make_client(headers={"Authorization": f"Bearer {made}"})
    for caller in (bob.api, ada.api, program):
        assert code(caller.delete(path)) == (403, "FORBIDDEN")
    assert code(admin.api.delete("/api/admin/users/absent/sessions"))[0] == 404
    assert ada.api.get("/api/auth/me").status_code == 200
    assert events("sessions_ended") == []
