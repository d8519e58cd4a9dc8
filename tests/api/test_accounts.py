"""Sign-up, sign-in and the device cookie, for programs and native forms."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlmodel import col, select

from tests.api.requests import SAME_ORIGIN, code
from tests.support.installation import Configure
from tests.support.people import BASE, PASSWORD, MakeClient, MakeUser, Person
from videovault import security
from videovault.db import reading
from videovault.models import Event
from videovault.services.core import rate_limits

pytestmark = pytest.mark.usefixtures("installation")

LOGIN = {"email": "ada@example.com", "password": PASSWORD}
NEXT = {**LOGIN, "email": "next@example.com"}


def cookie_parts(answer: httpx.Response) -> set[str]:
    return {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}


def test_registering_signs_in_with_a_token_and_a_cookie(client: httpx.Client) -> None:
    answer = client.post("/api/auth/register", json={**LOGIN, "name": "Ada"})
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["user"]["email"] == "ada@example.com"
    assert data["user"]["name"] == "Ada"
    assert data["expiresAt"].endswith("Z")
    assert client.cookies["videovault_session"] == data["token"]
    assert client.get("/api/auth/me").json()["data"]["user"] == data["user"]


def test_only_the_first_account_becomes_an_admin(make_user: MakeUser) -> None:
    first, second = make_user("first@example.com"), make_user("second@example.com")
    assert first.api.get("/api/auth/me").json()["data"]["user"]["isAdmin"] is True
    assert second.api.get("/api/auth/me").json()["data"]["user"]["isAdmin"] is False


def test_email_addresses_are_unique_regardless_of_case(ada: Person, client: httpx.Client) -> None:
    answer = client.post("/api/auth/register", json={"email": " ADA@Example.com", "password": PASSWORD})
    assert code(answer) == (409, "CONFLICT")
    assert ada.email == "ada@example.com"


def test_closed_signup_allows_only_the_first_account(configure: Configure, client: httpx.Client) -> None:
    configure(SIGNUP="closed")
    assert client.post("/api/auth/register", json=LOGIN).status_code == 201
    client.cookies.clear()
    answer = client.post("/api/auth/register", json={**LOGIN, "email": "bob@example.com"})
    assert code(answer) == (403, "FORBIDDEN")


def test_without_a_setting_all_but_the_first_account_need_an_invitation(
    configure: Configure, client: httpx.Client, make_client: MakeClient
) -> None:
    configure(SIGNUP="")
    assert client.post("/api/auth/register", json=LOGIN).json()["data"]["user"]["isAdmin"]
    bob = {**LOGIN, "email": "bob@example.com"}
    answer = make_client().post("/api/auth/register", json=bob)
    assert code(answer) == (403, "FORBIDDEN")
    assert "invitation link" in answer.json()["message"]
    answer = make_client().post("/api/auth/register", data=bob, headers=SAME_ORIGIN)
    assert answer.headers["location"] == "/register?error=uninvited&email=bob%40example.com"
    invitation = client.post("/api/admin/invitations", json={}, headers=SAME_ORIGIN).json()["data"]["url"]
    bob["invitation"] = invitation.partition("invitation=")[2]
    assert make_client().post("/api/auth/register", json=bob).status_code == 201


def test_open_signup_needs_no_invitation(
    configure: Configure, client: httpx.Client, make_client: MakeClient
) -> None:
    configure(SIGNUP="open")
    client.post("/api/auth/register", json=LOGIN)
    answer = make_client().post("/api/auth/register", json={**LOGIN, "email": "bob@example.com"})
    assert answer.status_code == 201


def test_the_session_cookie_is_httponly_and_samesite(ada: Person, client: httpx.Client) -> None:
    del ada
    parts = cookie_parts(client.post("/api/auth/login", json=LOGIN))
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert "secure" not in parts


def test_the_session_cookie_is_secure_behind_https(configure: Configure, client: httpx.Client) -> None:
    configure(PUBLIC_URL="https://videos.example.com")
    assert "secure" in cookie_parts(client.post("/api/auth/register", json=LOGIN))


def test_each_login_starts_a_separate_session(ada: Person, make_client: MakeClient) -> None:
    answer = make_client().post("/api/auth/login", json=LOGIN)
    token = answer.json()["data"]["token"]
    assert token != ada.token
    with make_client(headers={"Authorization": f"Bearer {token}"}) as other:
        assert other.post("/api/auth/logout").status_code == 200
        assert other.get("/api/auth/me").status_code == 401
    assert ada.api.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"password": "something else"}, {"email": "nobody@example.com"}, {"email": "no address"}]
)
def test_a_failed_login_does_not_reveal_which_field_was_wrong(
    ada: Person, client: httpx.Client, wrong: dict[str, str]
) -> None:
    del ada
    answer = client.post("/api/auth/login", json={**LOGIN, **wrong})
    assert code(answer) == (401, "NOT_SIGNED_IN")
    assert answer.json()["message"] == "The e-mail address or the password is wrong."
    assert "set-cookie" not in answer.headers


def test_registering_ends_the_browsers_previous_session(ada: Person, client: httpx.Client) -> None:
    del ada
    before = client.post("/api/auth/login", json=LOGIN).json()["data"]["token"]
    assert client.post("/api/auth/register", json=NEXT, headers=SAME_ORIGIN).status_code == 201
    old = {"Authorization": f"Bearer {before}"}
    assert client.get("/api/auth/me", headers=old).status_code == 401


def test_logout_ends_the_session_and_clears_the_cookie(client: httpx.Client) -> None:
    token = client.post("/api/auth/register", json=LOGIN).json()["data"]["token"]
    answer = client.post("/api/auth/logout", headers=SAME_ORIGIN)
    assert answer.status_code == 200
    assert "videovault_session" not in client.cookies
    stolen = client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert code(stolen) == (401, "NOT_SIGNED_IN")


def test_logging_out_without_a_session_is_fine(client: httpx.Client) -> None:
    assert client.post("/api/auth/logout").status_code == 200


def test_an_invalid_credential_is_401(client: httpx.Client) -> None:
    cases: list[Any] = ["", "Bearer", "Bearer ", "Bearer forged", "Basic YTpi", "Bearer a.b.c"]
    for header in cases:
        answer = client.get("/api/auth/me", headers={"Authorization": header})
        assert code(answer) == (401, "NOT_SIGNED_IN")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_login_form_redirects_to_its_next_page(ada: Person, client: httpx.Client) -> None:
    del ada
    answer = client.post(
        "/api/auth/login", data={**LOGIN, "next": "/gallery?status=ready"}, headers=SAME_ORIGIN
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/gallery?status=ready")
    assert client.get("/api/auth/me").status_code == 200


def test_a_login_form_never_redirects_to_another_site(ada: Person, client: httpx.Client) -> None:
    del ada
    cases: list[Any] = [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:0",
        "",
        "x",
    ]
    for elsewhere in cases:
        answer = client.post("/api/auth/login", data={**LOGIN, "next": elsewhere}, headers=SAME_ORIGIN)
        assert (answer.status_code, answer.headers["location"]) == (303, "/create")


def test_a_failed_login_form_returns_with_what_was_typed(client: httpx.Client) -> None:
    typed = {"email": "ada+x@example.com", "password": "wrong", "next": "/gallery"}
    answer = client.post("/api/auth/login", data=typed, headers=SAME_ORIGIN)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?error=wrong&email=ada%2Bx%40example.com&next=%2Fgallery"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({}, "no-email,no-password"),
        ({"email": "ada@example.com"}, "no-password"),
        ({"email": "\x00", "password": "\x00" * 300}, "wrong"),
    ],
)
def test_an_incomplete_login_form_names_what_is_missing(
    client: httpx.Client, typed: dict[str, str], error: str
) -> None:
    answer = client.post(
        "/api/auth/login",
        data=typed,
        headers={**SAME_ORIGIN, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


def test_a_register_form_creates_an_account(client: httpx.Client) -> None:
    answer = client.post("/api/auth/register", data={**LOGIN, "name": "Ada"}, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/create")
    assert client.get("/api/auth/me").json()["data"]["user"]["name"] == "Ada"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"email": "ada@example.com"}, "taken"),
        ({"email": "not an address"}, "email"),
        ({"email": ""}, "email"),
        ({"email": "a" * 300}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 300}, "password"),
        ({"password": "correct\thorse"}, "controls"),
        ({"email": "not an address", "password": "short"}, "email,password"),
        ({"email": "", "password": "password123"}, "email,common"),
        ({"name": "x" * 300}, "name"),
    ],
)
def test_a_failed_register_form_returns_with_the_errors(
    ada: Person, client: httpx.Client, typed: dict[str, str], error: str
) -> None:
    del ada
    whole = {"email": "new@example.com", "password": PASSWORD, "name": "New", **typed}
    answer = client.post("/api/auth/register", data=whole, headers=SAME_ORIGIN)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


def test_a_register_form_says_when_signup_is_closed(configure: Configure, client: httpx.Client) -> None:
    client.post("/api/auth/register", json=LOGIN)
    client.cookies.clear()
    configure(SIGNUP="closed")
    answer = client.post(
        "/api/auth/register", data={**LOGIN, "email": "bob@example.com"}, headers=SAME_ORIGIN
    )
    assert answer.headers["location"] == "/register?error=closed&email=bob%40example.com"


def test_a_logout_form_redirects_to_the_start_page(client: httpx.Client) -> None:
    client.post("/api/auth/register", json=LOGIN)
    form = {**SAME_ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("/api/auth/logout", headers=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/api/auth/me").status_code == 401


def test_authentication_is_in_the_audit_log(client: httpx.Client) -> None:
    user_id = client.post("/api/auth/register", json=LOGIN).json()["data"]["user"]["userId"]
    for path, sent in (
        ("login", LOGIN),
        ("login", {**LOGIN, "password": "wrong horse"}),
        ("login", {**LOGIN, "email": "nobody@example.com"}),
        ("password", {"currentPassword": PASSWORD, "newPassword": "battery staple"}),
        ("logout", {}),
    ):
        client.post(f"/api/auth/{path}", json=sent, headers=SAME_ORIGIN)
    with reading() as session:
        events = session.exec(select(Event).order_by(col(Event.id))).all()
    assert [(event.kind, event.actor_id) for event in events] == [
        ("register", user_id),
        ("login", user_id),
        ("login_failed", user_id),
        ("login_failed", None),
        ("password_changed", user_id),
        ("logout", user_id),
    ]


LOGIN_PATH = "/api/auth/login"
WRONG = {**LOGIN, "password": "something else"}
DEVICE_COOKIE = "videovault_device"


def exhaust_account_limit(client: httpx.Client) -> None:
    """Reach the rate limit of Ada's account from many addresses."""
    rate_limits.limiter().forget(rate_limits.ACCOUNT_ATTEMPTS, "login-account", LOGIN["email"])
    for number in range(101):
        client.cookies.clear()
        client.post(LOGIN_PATH, json=WRONG, headers={"X-Forwarded-For": f"198.51.100.{number}"})


@pytest.mark.usefixtures("ada")
def test_a_known_browser_signs_in_while_the_account_is_rate_limited(
    client: httpx.Client, make_client: MakeClient
) -> None:
    browser = make_client(headers={"X-Forwarded-For": "192.0.2.1", "Origin": BASE})
    assert browser.post(LOGIN_PATH, data=LOGIN).status_code == 303
    assert browser.post("/api/auth/logout").status_code == 200
    exhaust_account_limit(client)
    elsewhere = {"X-Forwarded-For": "192.0.2.99"}
    assert client.post(LOGIN_PATH, json=LOGIN, headers=elsewhere).status_code == 429
    assert browser.post(LOGIN_PATH, json=LOGIN, headers=elsewhere).status_code == 200


@pytest.mark.usefixtures("ada")
def test_a_known_address_signs_in_while_the_account_is_rate_limited(client: httpx.Client) -> None:
    home = {"X-Forwarded-For": "192.0.2.1"}
    assert client.post(LOGIN_PATH, json=LOGIN, headers=home).status_code == 200
    exhaust_account_limit(client)
    assert client.post(LOGIN_PATH, json=LOGIN, headers=home).status_code == 200


@pytest.mark.usefixtures("ada")
def test_the_device_cookie_is_opaque_and_httponly(client: httpx.Client) -> None:
    answer = client.post(LOGIN_PATH, json=LOGIN)
    (line,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(DEVICE_COOKIE)]
    parts = {part.strip().lower() for part in line.split(";")}
    assert {"httponly", "samesite=lax", "path=/", f"max-age={security.DEVICE_SECONDS}"} <= parts
    assert LOGIN["email"] not in str(
        security.unsign("device", client.cookies[DEVICE_COOKIE], max_age_seconds=60)
    )


def test_the_device_cookie_does_not_sign_in(ada: Person, client: httpx.Client) -> None:
    del ada
    client.post(LOGIN_PATH, json=LOGIN)
    del client.cookies["videovault_session"]
    assert client.get("/api/auth/me").status_code == 401


def test_behind_https_the_device_cookie_has_the_host_prefix(
    configure: Configure, make_client: MakeClient
) -> None:
    configure(PUBLIC_URL="https://videos.example.com")
    client = make_client(headers={"Host": "videos.example.com"})
    answer = client.post("/api/auth/register", json=LOGIN)
    assert any(
        line.startswith(f"__Host-{DEVICE_COOKIE}=") and "Secure" in line
        for line in answer.headers.get_list("set-cookie")
    )


def test_deleting_the_account_clears_the_device_cookie(ada: Person, client: httpx.Client) -> None:
    del ada
    client.post(LOGIN_PATH, json=LOGIN)
    assert DEVICE_COOKIE in client.cookies
    headers = SAME_ORIGIN
    answer = client.post("/api/auth/delete-account", json={"password": PASSWORD}, headers=headers)
    assert answer.status_code == 200
    assert DEVICE_COOKIE not in client.cookies
