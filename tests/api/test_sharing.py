"""Share links: their owners' calls, and access without an account."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import structlog

from tests.api.requests import AT_ONCE, code, store
from tests.support.generator import Generator
from tests.support.people import Person

pytestmark = pytest.mark.usefixtures("moto_s3")


def owned(person: Person, video_id: str, what: str) -> httpx.Response:
    return person.api.get(f"/api/auth/video/{video_id}/{what}")


def key_of(person: Person, video_id: str) -> str:
    return str(owned(person, video_id, "secret-key").json()["data"]["secretKey"])


def visit(
    client: httpx.Client, video_id: str, key: str, what: str = "download", **query: str
) -> httpx.Response:
    return client.get(f"/api/share/{video_id}/{what}", params={"key": key, **query})


def test_the_secret_key_is_the_one_from_storing(ada: Person, generator: Generator) -> None:
    said = store(ada, generator.video_url, headers=AT_ONCE).json()["data"]
    data = owned(ada, said["videoId"], "secret-key").json()["data"]
    assert data["secretKey"] == said["secretKey"]
    assert data["url"] == f"http://localhost:3000/share/{said['videoId']}?key={said['secretKey']}"


def test_a_share_link_is_limited_closed_and_reopened(ada: Person, stored: str, client: httpx.Client) -> None:
    place, key = f"/api/auth/video/{stored}/share", key_of(ada, stored)
    data = ada.api.post(place, json={"expiresInDays": 3, "mostViews": 1}).json()["data"]
    assert (data["isOpen"], data["mostViews"], data["views"]) == (True, 1, 0)
    assert data["expiresAt"].endswith("Z")
    assert parse_qs(urlsplit(data["url"]).query) == {"key": [key]}
    assert visit(client, stored, key).status_code == 302
    assert code(visit(client, stored, key)) == (403, "WRONG_SECRET_KEY")
    assert owned(ada, stored, "share").json()["data"]["views"] == 1
    assert ada.api.delete(place).json()["data"]["isOpen"] is False
    assert code(visit(client, stored, key)) == (403, "WRONG_SECRET_KEY")
    assert ada.api.post(place, json={}).json()["data"]["isOpen"] is True
    assert visit(client, stored, key).status_code == 302


def test_share_limits_are_validated(ada: Person, stored: str) -> None:
    for body in ({"expiresInDays": 0}, {"mostViews": "3"}, {"mostViews": 2.5}, {"expiresInDays": 9999}):
        answer = ada.api.post(f"/api/auth/video/{stored}/share", json=body)
        assert code(answer) == (400, "INVALID_INPUT"), body
        assert set(answer.json()["error"]["fields"]) == set(body)


def test_visitors_play_save_and_see_the_poster(ada: Person, stored: str, client: httpx.Client) -> None:
    key = key_of(ada, stored)
    for what, query in (("download", {}), ("download", {"inline": "1"}), ("thumbnail", {})):
        answer = visit(client, stored, key, what, **query)
        assert answer.status_code == 302
        assert httpx.get(answer.headers["location"]).status_code == 200
        assert "X-Amz-Signature" in answer.headers["location"]


def test_a_wrong_key_and_an_absent_video_are_indistinguishable(
    ada: Person, stored: str, client: httpx.Client
) -> None:
    wrong, none = visit(client, stored, "wrong"), client.get(f"/api/share/{stored}/download")
    absent = visit(client, "video_1703123456789_abc123def", key_of(ada, stored))
    assert code(wrong) == (403, "WRONG_SECRET_KEY")
    assert wrong.content == none.content == absent.content


def test_guessing_keys_is_rate_limited(ada: Person, stored: str, client: httpx.Client) -> None:
    for _ in range(20):
        assert visit(client, stored, "wrong").status_code == 403
    answer = visit(client, stored, key_of(ada, stored))
    assert code(answer) == (429, "RATE_LIMITED")
    assert 3000 < int(answer.headers["retry-after"]) <= 3600


def test_share_links_are_hidden_from_referrers_and_search_engines(
    ada: Person, stored: str, client: httpx.Client
) -> None:
    for path in ("/api/share/{}/download?key={}", "/api/share/{}/download?key=wrong", "/share/{}?key={}"):
        headers = client.get(path.format(stored, key_of(ada, stored))).headers
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["x-robots-tag"].startswith("noindex"), path
    assert client.get("/api/auth/me").headers.get("x-robots-tag") is None


def test_no_key_is_logged(ada: Person, stored: str, client: httpx.Client) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        key = key_of(ada, stored)
        visit(client, stored, key)
        visit(client, stored, key + "x")
        fresh = ada.api.post(f"/api/auth/video/{stored}/secret-key/rotate").json()["data"]["secretKey"]
        visit(client, stored, fresh)
    assert len(lines) >= 5
    assert key not in str(lines)
    assert fresh not in str(lines)
