"""Bulkheads: bounded concurrency of password hashing, long reports and probes."""

import re
from pathlib import Path

import httpx
import pytest

import videovault
from tests.api.requests import SAME_ORIGIN, code
from tests.support.installation import Configure
from tests.support.people import PASSWORD, MakeClient, MakeUser, Person
from tests.test_bulkhead import occupied
from videovault import security
from videovault.api.accounts import MAX_FORM_BYTES
from videovault.bulkhead import Bulkhead
from videovault.gateways import media
from videovault.services.generation import callbacks


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Bulkhead:
    """The bulkhead for password hashing, with one slot."""
    bulkhead = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    monkeypatch.setattr(security, "hashing", bulkhead)
    return bulkhead


def test_sign_ins_beyond_the_hashing_capacity_are_429(
    ada: Person, client: httpx.Client, busy: Bulkhead
) -> None:
    login = {"email": ada.email, "password": PASSWORD}
    with occupied(busy, 1):
        answer = client.post("/api/auth/login", json=login)
        assert code(answer) == (429, "RATE_LIMITED")
        assert int(answer.headers["retry-after"]) > 0
        form = client.post("/api/auth/login", data=login)
        assert form.headers["location"].startswith("/login?error=busy")
        assert ada.api.get("/api/auth/me").status_code == 200
    assert client.post("/api/auth/login", json=login).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("register", {"email": "new@example.com", "password": PASSWORD}),
        ("password", {"currentPassword": PASSWORD, "newPassword": "another horse"}),
        ("delete-account", {"password": PASSWORD}),
    ],
)
def test_all_password_hashing_shares_one_bulkhead(
    ada: Person, make_client: MakeClient, busy: Bulkhead, path: str, body: dict[str, str]
) -> None:
    client = make_client()
    client.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
    with occupied(busy, 1):
        answer = client.post(f"/api/auth/{path}", json=body, headers=SAME_ORIGIN)
    assert code(answer) == (429, "RATE_LIMITED")


def test_only_long_reports_wait_for_the_bulkhead(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing a long report takes a second of CPU time."""
    bulkhead = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    monkeypatch.setattr(callbacks, "long_report_bulkhead", bulkhead)
    report = {"userId": ada.user_id, "videoId": "video_1_abcdefghi", "status": "processing"}
    padded = report | {"note": "x" * callbacks.LONG_REPORT_BYTES}
    with occupied(bulkhead, 1):
        assert ada.api.put("/api/auth/video/status", json=report).status_code == 404
        answer = ada.api.put("/api/auth/video/status", json=padded)
        assert code(answer) == (429, "RATE_LIMITED")
        assert int(answer.headers["retry-after"]) > 0
    assert ada.api.put("/api/auth/video/status", json=padded).status_code == 404


def test_long_reports_are_limited_by_account(ada: Person, make_user: MakeUser, configure: Configure) -> None:
    configure(RATE_LIMITS="on")
    bob = make_user("bob@example.com")
    long = {
        "userId": ada.user_id,
        "videoId": "video_1_abcdefghi",
        "status": "x" * callbacks.LONG_REPORT_BYTES,
    }
    codes = [ada.api.put("/api/auth/video/status", json=long).status_code for _ in range(21)]
    assert codes == [400] * 20 + [429]
    assert bob.api.put("/api/auth/video/status", json=long).status_code == 400


def test_a_form_over_the_limit_is_413(client: httpx.Client) -> None:
    """The form parser takes most of a second for a MiB of ampersands, on the event loop."""
    answer = client.post("/api/auth/login", data={"email": "x" * MAX_FORM_BYTES})
    assert code(answer) == (413, "TOO_LARGE")


def test_a_sign_in_refused_by_the_bulkhead_is_not_counted(
    ada: Person, client: httpx.Client, busy: Bulkhead, configure: Configure
) -> None:
    configure(RATE_LIMITS="on")
    login = {"email": ada.email, "password": PASSWORD}
    with occupied(busy, 1):
        for _ in range(20):
            assert client.post("/api/auth/login", json=login).status_code == 429
    assert client.post("/api/auth/login", json=login).status_code == 200


def test_passwords_are_hashed_in_one_module_only() -> None:
    """Otherwise the bulkhead could be bypassed."""
    root = Path(videovault.__file__).parent
    named = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if re.search(r"\b(CryptContext|_passwords)\b", file.read_text())
    }
    assert named == {"security.py"}


def test_a_probe_without_a_free_slot_sends_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bulkhead = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    monkeypatch.setattr(media, "probe_slots", bulkhead)
    with occupied(bulkhead, 1):
        assert media.probe_video("http://127.0.0.1:1/never-asked", "mp4") is None
