"""Signing in while as many passwords are hashed as may be: refused for a moment, and nothing else waits."""

import ast
from pathlib import Path

import httpx
import pytest

import videovault
from tests.support.installation import Configure
from tests.support.people import PASSWORD, MakeClient, MakeUser, Person
from tests.test_bulkhead import occupied
from videovault import security
from videovault.api.forms import MAX_FORM_BYTES
from videovault.bulkhead import Bulkhead
from videovault.gateways import probe
from videovault.services.generation import callbacks


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Bulkhead:
    """A bulkhead as the product's, but with one place."""
    one = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    monkeypatch.setattr(security, "hashing", one)
    return one


def test_a_sign_in_too_many_is_told_to_come_back(ada: Person, client: httpx.Client, busy: Bulkhead) -> None:
    login = {"email": ada.email, "password": PASSWORD}
    with occupied(busy, 1):
        answer = client.post("/api/auth/login", json=login)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
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
def test_whatever_hashes_a_password_waits_for_the_same_places(
    ada: Person, make_client: MakeClient, busy: Bulkhead, path: str, body: dict[str, str]
) -> None:
    client = make_client()
    client.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
    with occupied(busy, 1):
        answer = client.post(f"/api/auth/{path}", json=body, headers={"Origin": "http://localhost:3000"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")


def test_a_long_report_waits_for_its_turn_and_a_short_one_does_not(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a long one takes a second of a processor that everybody shares."""
    one = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    monkeypatch.setattr(callbacks, "reading_long", one)
    report = {"userId": ada.user_id, "videoId": "video_1_abcdefghi", "status": "processing"}
    padded = report | {"note": "x" * callbacks.LONG_REPORT_BYTES}
    with occupied(one, 1):
        assert ada.api.put("/api/auth/video/status", json=report).status_code == 404
        answer = ada.api.put("/api/auth/video/status", json=padded)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert int(answer.headers["retry-after"]) > 0
    assert ada.api.put("/api/auth/video/status", json=padded).status_code == 404


def test_an_account_sends_so_many_long_reports(
    ada: Person, make_user: MakeUser, configure: Configure
) -> None:
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


def test_a_form_is_as_long_as_people_fill_in(client: httpx.Client) -> None:
    """Its parser takes most of a second for a MiB of ampersands, on the event loop."""
    answer = client.post("/api/auth/login", data={"email": "x" * MAX_FORM_BYTES})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "TOO_LARGE")


def test_a_sign_in_refused_for_that_is_no_guess(
    ada: Person, client: httpx.Client, busy: Bulkhead, configure: Configure
) -> None:
    configure(RATE_LIMITS="on")
    login = {"email": ada.email, "password": PASSWORD}
    with occupied(busy, 1):
        for _ in range(20):
            assert client.post("/api/auth/login", json=login).status_code == 429
    assert client.post("/api/auth/login", json=login).status_code == 200


def test_passwords_are_hashed_in_one_place_only() -> None:
    """Else there would be a way round the bulkhead."""
    root = Path(videovault.__file__).parent
    named = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
        and ast.unparse(node).split(".")[-1] in ("CryptContext", "_passwords")
    }
    assert named == {"security.py"}


def test_a_probe_that_gets_no_turn_asks_nothing_and_costs_the_video_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    monkeypatch.setattr(probe, "probe_slots", one)
    with occupied(one, 1):
        assert probe.probe_video("http://127.0.0.1:1/never-asked", "mp4") is None
