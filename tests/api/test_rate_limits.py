"""Rate limits: 429 with the seconds to wait, or a redirect back to the form."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.requests import SAME_ORIGIN, SCRIPT, code, draft, generate, store
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import PASSWORD, MakeClient, Person
from videovault.services.core import rate_limits

WRONG = {"email": "ada@example.com", "password": "something else"}
RIGHT = {"email": "ada@example.com", "password": PASSWORD}
LOGIN = "/api/auth/login"
FORGOT = "/api/auth/forgot"


@pytest.mark.usefixtures("ada")
def test_wrong_passwords_are_429_after_five_attempts(client: httpx.Client) -> None:
    assert [client.post(LOGIN, json=WRONG).status_code for _ in range(6)] == [401] * 5 + [429]
    answer = client.post(LOGIN, json=RIGHT)
    assert code(answer) == (429, "RATE_LIMITED")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "set-cookie" not in answer.headers


@pytest.mark.usefixtures("ada")
def test_a_rate_limited_form_returns_with_the_wait(client: httpx.Client) -> None:
    for _ in range(5):
        client.post(LOGIN, json=WRONG)
    answer = client.post(LOGIN, data=RIGHT, headers=SAME_ORIGIN)
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["error"] == ["slow"]
    assert 0 < int(query["wait"][0]) <= 60


@pytest.mark.usefixtures("ada")
def test_unknown_accounts_are_limited_in_the_same_way(client: httpx.Client) -> None:
    nobody = {**WRONG, "email": "nobody@example.com"}
    assert [client.post(LOGIN, json=nobody).status_code for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.usefixtures("ada")
def test_behind_a_proxy_each_client_is_counted_separately(client: httpx.Client) -> None:
    def guess(address: str) -> int:
        return client.post(LOGIN, json=WRONG, headers={"X-Forwarded-For": address}).status_code

    assert [guess("203.0.113.7") for _ in range(6)][-1] == 429
    assert guess("203.0.113.8") == 401


@pytest.mark.usefixtures("ada")
def test_untrusted_forwarded_addresses_are_ignored(client: httpx.Client, configure: Configure) -> None:
    configure(FORWARDED_ALLOW_IPS="10.0.0.0/8")
    claims = [f"203.0.113.{number}" for number in range(6)]
    answers = [client.post(LOGIN, json=WRONG, headers={"X-Forwarded-For": claim}) for claim in claims]
    assert answers[-1].status_code == 429


def test_registering_is_limited_by_address(configure: Configure, make_client: MakeClient) -> None:
    configure(SIGNUP="closed")
    make_client().post("/api/auth/register", json=RIGHT)
    exhaust(rate_limits.REGISTRATIONS, "register", "127.0.0.1")
    assert code(make_client().post("/api/auth/register", json=RIGHT)) == (429, "RATE_LIMITED")


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
@pytest.mark.usefixtures("ada")
def test_reset_emails_are_limited_with_or_without_an_account(client: httpx.Client, email: str) -> None:
    answers = [client.post(FORGOT, json={"email": email}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 15 * 60
    form = client.post(FORGOT, data={"email": email.upper()}, headers=SAME_ORIGIN)
    assert form.headers["location"].startswith("/forgot?error=slow&email=")
    assert "&wait=" in form.headers["location"]


@pytest.mark.usefixtures("ada")
def test_reset_requests_are_limited_by_address(client: httpx.Client) -> None:
    exhaust(rate_limits.ADDRESS_RESET_EMAILS, "letter-address", "127.0.0.1")
    assert code(client.post(FORGOT, json={"email": "other@example.com"})) == (429, "RATE_LIMITED")


@pytest.mark.usefixtures("ada")
def test_reset_attempts_are_limited_by_address(client: httpx.Client) -> None:
    exhaust(rate_limits.RESETS, "reset", "127.0.0.1")
    body = {"token": "made.up.token", "password": "battery staple"}
    assert code(client.post("/api/auth/reset", json=body)) == (429, "RATE_LIMITED")
    form = client.post("/api/auth/reset", data=body, headers=SAME_ORIGIN)
    assert form.headers["location"].startswith("/reset?error=slow&token=made.up.token&wait=")


def test_password_confirmations_are_limited(ada: Person, client: httpx.Client) -> None:
    wrong = {"currentPassword": "wrong horse", "newPassword": "battery staple"}
    answers = [ada.api.post("/api/auth/password", json=wrong) for _ in range(4)]
    answers += [ada.api.post("/api/auth/delete-account", json={"password": "wrong horse"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert client.post(LOGIN, json=RIGHT).status_code == 200
    for path, sent, field in (
        ("/api/auth/password", wrong, "slow"),
        ("/api/auth/delete-account", {"password": PASSWORD}, "closing-slow"),
    ):
        form = client.post(path, data=sent, headers=SAME_ORIGIN)
        assert form.headers["location"].startswith(f"/account?error={field}&wait=")
    assert ada.api.get("/api/auth/me").status_code == 200


def test_a_correct_password_resets_the_count(ada: Person) -> None:
    person = ada
    for number in range(3):
        for _ in range(3):
            wrong = {"currentPassword": "wrong horse", "newPassword": "battery staple"}
            assert person.api.post("/api/auth/password", json=wrong).status_code == 400
        current, new = PASSWORD + "!" * number, PASSWORD + "!" * (number + 1)
        changed = person.api.post("/api/auth/password", json={"currentPassword": current, "newPassword": new})
        assert changed.status_code == 200
        person.api.headers["Authorization"] = f"Bearer {changed.json()['data']['token']}"


def test_scripts_generations_and_stores_are_limited_by_account(
    ada: Person, bob: Person, generator: Generator, configure: Configure
) -> None:
    exhaust(rate_limits.SCRIPTS, "scripts", ada.user_id)
    exhaust(rate_limits.GENERATIONS, "generations", ada.user_id)
    exhaust(rate_limits.STORES, "stores", ada.user_id)
    assert code(generate(ada)) == (429, "RATE_LIMITED")
    assert code(store(ada, generator.video_url)) == (429, "RATE_LIMITED")
    brief = {**SCRIPT, "topic": "Kettles", "email": ada.email}
    assert code(ada.api.post("/api/auth/create-video", json=brief)) == (429, "RATE_LIMITED")
    assert draft(bob)
    configure(RATE_LIMITS="off")
    assert draft(ada)


def exhaust(windows: rate_limits.Windows, purpose: str, who: str) -> None:
    """Use up the allowance."""
    while not rate_limits.limiter().take(windows, purpose, who):
        pass
