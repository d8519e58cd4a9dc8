"""Failures redirect browsers to a page, while programs get JSON."""

import httpx
import pytest

from tests.api.requests import code
from tests.support.people import MakeClient, Person
from videovault.api.responses import prefers_html
from videovault.config import EMBEDDED_BUCKET
from videovault.state.problem import PROBLEMS

CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (CHROMIUM, True),
        (FIREFOX, True),
        ("TEXT/HTML", True),
        ("text/*", True),
        ("application/json;q=0.5, text/html;q=0.6", True),
        ("text/html;level=1;q=0.9, application/json;q=0.8", True),
        ("text/html;q=0.9, */*;q=0.1, application/json;q=0", True),
        ("application/json;q=0.95, text/*;q=0.9, text/html ; Q = 1.000", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/plain, */*", False),
        ("text/html, application/json", False),
        ("text/html;q=0.8, application/json", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=0", False),
        ("text/html;q=2, application/json;q=0.1", False),
        ("text/html;q=x, application/json;q=0.001", False),
        ("image/avif,image/webp,*/*;q=0.8", False),
        (";q=,,;=", False),
        ("text/html;q=" + "9" * 10_000, False),
    ],
)
def test_accept_is_parsed_with_quality_values(accept: str, html: bool) -> None:
    assert prefers_html(accept) == html


@pytest.fixture
def browser(make_client: MakeClient, ada: Person) -> httpx.Client:
    """Ada's browser, with her cookie and no token."""
    return make_client(
        headers={"Accept": FIREFOX, "Sec-Fetch-Site": "same-origin"},
        cookies={"videovault_session": ada.token},
    )


@pytest.fixture
def anonymous(make_client: MakeClient) -> httpx.Client:
    return make_client(headers={"Accept": CHROMIUM, "Sec-Fetch-Site": "same-origin"})


def redirect_of(answer: httpx.Response) -> str:
    assert (answer.status_code, answer.headers["vary"]) == (303, "Accept"), answer.text
    return str(answer.headers["location"])


def test_failed_links_redirect_browsers_to_a_page(browser: httpx.Client, generating: str) -> None:
    absent = "video_1700000000000_abcdefghi"
    for path, problem in {
        f"/api/auth/video/{generating}/download": "CONFLICT",
        f"/api/auth/video/{generating}/download?inline=1": "CONFLICT",
        f"/api/auth/video/{generating}/thumbnail": "CONFLICT",
        f"/api/auth/video/{absent}/download": "VIDEO_NOT_FOUND",
        "/api/auth/video/no id!/download": "VIDEO_NOT_FOUND",
        f"/api/share/{generating}/download?key=old": "WRONG_SECRET_KEY",
        f"/api/share/{generating}/thumbnail?key=old": "WRONG_SECRET_KEY",
        f"/{EMBEDDED_BUCKET}/videos/a/b/c.mp4": "FORBIDDEN",
        f"/{EMBEDDED_BUCKET}/videos/a/b/c.mp4?X-Amz-Signature=x": "STORAGE_FAILED",
        "/api/nothing": "NOT_FOUND",
        "/api/auth/login": "METHOD_NOT_ALLOWED",
    }.items():
        assert redirect_of(browser.get(path)) == f"/problem?code={problem}", path
        assert problem in PROBLEMS


def test_failed_forms_redirect_browsers_to_a_page(browser: httpx.Client, anonymous: httpx.Client) -> None:
    elsewhere = {"Origin": "https://evil.example"}
    for path in ("/api/auth/logout", "/api/auth/login", "/api/auth/password", "/api/auth/forgot"):
        assert redirect_of(browser.post(path, data={}, headers=elsewhere)) == "/problem?code=FORBIDDEN"
    for path in ("/api/auth/password", "/api/auth/delete-account"):
        assert redirect_of(anonymous.post(path, data={"password": "x"})) == "/login?next=%2Fgallery"


def test_anonymous_browsers_sign_in_and_return_to_the_video(anonymous: httpx.Client, generating: str) -> None:
    place = redirect_of(anonymous.get(f"/api/auth/video/{generating}/download"))
    assert place == f"/login?next=%2Fgallery%3Fvideo%3D{generating}"


def test_programs_get_json(ada: Person, generating: str) -> None:
    path = f"/api/auth/video/{generating}/download"
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9"):
        answer = ada.api.get(path, headers={"Accept": accept})
        assert code(answer) == (409, "CONFLICT")
    del ada.api.headers["accept"]
    assert code(ada.api.get(path)) == (409, "CONFLICT")


def test_a_refused_page_is_html_without_a_redirect(anonymous: httpx.Client) -> None:
    """A redirect to the problem page would be refused too, in an endless loop."""
    answer = anonymous.get("/problem?code=CONFLICT", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.headers["content-type"]) == (421, "text/html; charset=utf-8")
    assert "<h1>" in answer.text
    assert "evil" not in answer.text
