"""CSRF: requests that another site's page makes a browser send are refused."""

import itertools

import httpx
import pytest

from tests.api.middleware.test_stack import ask
from tests.api.requests import code
from tests.support.installation import Configure
from tests.support.people import PASSWORD, MakeClient, Person

pytestmark = pytest.mark.usefixtures("installation")

FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost:3001",
    "http://[",
    "file://",
    "localhost:3000",
    "",
]
CHANGES = [
    ("POST", "/api/auth/logout"),
    ("POST", "/api/auth/video/video_1_a/cancel"),
    ("PUT", "/api/auth/video/status"),
    ("DELETE", "/api/auth/video/delete"),
    ("DELETE", "/api/admin/videos"),
]


@pytest.fixture
def browser(make_client: MakeClient) -> httpx.Client:
    """Signed in by its cookie."""
    client = make_client()
    client.post("/api/auth/register", json={"email": "ada@example.com", "password": PASSWORD})
    return client


def test_cross_site_requests_with_a_cookie_are_refused(browser: httpx.Client) -> None:
    for (method, path), origin in itertools.product(CHANGES, FOREIGN):
        body = {"userId": "a", "videoId": "video_1_a", "videoIds": ["video_1_a"], "status": "failed"}
        answer = browser.request(method, path, json=body, headers={"Origin": origin})
        assert code(answer) == (403, "FORBIDDEN")
        assert browser.get("/api/auth/me").status_code == 200


def test_cross_site_sign_ins_are_refused(ada: Person, client: httpx.Client) -> None:
    for origin in FOREIGN:
        form = {"email": ada.email, "password": PASSWORD}
        answer = client.post("/api/auth/login", data=form, headers={"Origin": origin})
        assert code(answer) == (403, "FORBIDDEN")
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://videos.local", "Host": "videos.local"},
        {"Origin": "https://videos.local", "Host": "videos.local:443"},
        {"Origin": "https://videos.example.com", "Host": "inside:3000"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_same_site_requests_are_accepted(
    browser: httpx.Client, configure: Configure, headers: dict[str, str]
) -> None:
    configure(PUBLIC_URL="https://videos.example.com")
    assert browser.post("/api/auth/logout", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost:3000", "videos.local:8080"])
def test_http_origins_are_refused_behind_https(
    browser: httpx.Client, configure: Configure, host: str
) -> None:
    """A page loaded without TLS may have been altered on the way."""
    headers = {"Origin": f"http://{host}", "Host": host}
    configure(PUBLIC_URL="https://videos.example.com")
    assert code(browser.post("/api/auth/logout", headers=headers)) == (403, "FORBIDDEN")
    configure(PUBLIC_URL="")
    assert browser.post("/api/auth/logout", headers=headers).status_code == 200


def test_a_cookie_without_an_origin_is_refused(browser: httpx.Client) -> None:
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert code(browser.post("/api/auth/logout", headers=headers)) == (403, "FORBIDDEN")


def test_safe_methods_need_no_origin(browser: httpx.Client) -> None:
    assert browser.get("/api/auth/me", headers={"Origin": "https://evil.example"}).status_code == 200


def test_bearer_tokens_need_no_origin(ada: Person) -> None:
    assert ada.api.post("/api/auth/logout").status_code == 200


@pytest.mark.parametrize("scheme", ["Basic YTpi", "Digest a=b", "Negotiate x", "Bearer", "Bearer  ", "x"])
def test_a_cookie_needs_an_origin_unless_a_bearer_token_is_sent(scheme: str) -> None:
    headers = {"Cookie": "videovault_session=x", "Authorization": scheme}
    assert ask("POST", "/echo", content=b"x", headers=headers).status_code == 403
    assert ask("POST", "/echo", content=b"x", headers=headers | {"Origin": "http://x"}).status_code == 200


def test_a_bearer_token_with_a_cookie_needs_no_origin() -> None:
    headers = {"Cookie": "videovault_session=x", "Authorization": "Bearer x"}
    assert ask("POST", "/echo", content=b"x", headers=headers).status_code == 200
