"""The cookie by which a browser shows that it signed in before."""

import httpx
import pytest

from tests.support.installation import Configure
from tests.support.people import BASE, PASSWORD, MakeClient, Person
from videovault import security
from videovault.services.core import rate_limits

LOGIN = "/api/auth/login"
RIGHT = {"email": "ada@example.com", "password": PASSWORD}
WRONG = {**RIGHT, "password": "something else"}
NAME = "videovault_device"


def strangers_exhaust(client: httpx.Client) -> None:
    """The limit of Ada's account, from many addresses, by real requests."""
    rate_limits.limiter().forget(rate_limits.ACCOUNT_ATTEMPTS, "login-account", RIGHT["email"])
    for number in range(101):
        client.cookies.clear()
        client.post(LOGIN, json=WRONG, headers={"X-Forwarded-For": f"198.51.100.{number}"})


@pytest.mark.usefixtures("ada")
def test_a_browser_that_signed_in_gets_in_while_a_botnet_keeps_the_account_busy(
    client: httpx.Client, make_client: MakeClient
) -> None:
    browser = make_client(headers={"X-Forwarded-For": "192.0.2.1", "Origin": BASE})
    assert browser.post(LOGIN, data=RIGHT).status_code == 303
    assert browser.post("/api/auth/logout").status_code == 200
    strangers_exhaust(client)
    elsewhere = {"X-Forwarded-For": "192.0.2.99"}
    assert client.post(LOGIN, json=RIGHT, headers=elsewhere).status_code == 429
    assert browser.post(LOGIN, json=RIGHT, headers=elsewhere).status_code == 200


@pytest.mark.usefixtures("ada")
def test_a_program_gets_in_from_an_address_that_signed_in(client: httpx.Client) -> None:
    home = {"X-Forwarded-For": "192.0.2.1"}
    assert client.post(LOGIN, json=RIGHT, headers=home).status_code == 200
    strangers_exhaust(client)
    assert client.post(LOGIN, json=RIGHT, headers=home).status_code == 200


@pytest.mark.usefixtures("ada")
def test_the_cookie_says_nothing_and_is_kept_from_scripts(client: httpx.Client) -> None:
    answer = client.post(LOGIN, json=RIGHT)
    (line,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(NAME)]
    parts = {part.strip().lower() for part in line.split(";")}
    assert {"httponly", "samesite=lax", "path=/", f"max-age={security.DEVICE_SECONDS}"} <= parts
    assert RIGHT["email"] not in str(security.unsign("device", client.cookies[NAME], max_age_seconds=60))


def test_it_signs_nobody_in(ada: Person, client: httpx.Client) -> None:
    del ada
    client.post(LOGIN, json=RIGHT)
    del client.cookies["videovault_session"]
    assert client.get("/api/auth/me").status_code == 401


def test_behind_https_it_has_the_prefix_that_keeps_it_to_this_host(
    configure: Configure, make_client: MakeClient
) -> None:
    configure(PUBLIC_URL="https://videos.example.com")
    client = make_client(headers={"Host": "videos.example.com"})
    answer = client.post("/api/auth/register", json=RIGHT)
    assert any(
        line.startswith(f"__Host-{NAME}=") and "Secure" in line
        for line in answer.headers.get_list("set-cookie")
    )


def test_a_deleted_account_leaves_no_cookie(ada: Person, client: httpx.Client) -> None:
    del ada
    client.post(LOGIN, json=RIGHT)
    assert NAME in client.cookies
    headers = {"Origin": BASE}
    answer = client.post("/api/auth/delete-account", json={"password": PASSWORD}, headers=headers)
    assert answer.status_code == 200
    assert NAME not in client.cookies
