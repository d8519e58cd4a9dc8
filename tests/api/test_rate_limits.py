"""Too many attempts are answered 429 with the seconds to wait, a form with its page again."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.requests import SCRIPT, code, draft, generate, store
from tests.fixtures.generator import Generator
from tests.fixtures.installation import Configure
from tests.fixtures.people import BASE, PASSWORD, MakeClient, Person
from videovault.services import limiting

WRONG = {"email": "ada@example.com", "password": "something else"}
RIGHT = {"email": "ada@example.com", "password": PASSWORD}
LOGIN = "/api/auth/login"


@pytest.mark.usefixtures("ada")
def test_wrong_passwords_are_answered_429_after_a_few(client: httpx.Client) -> None:
    assert [client.post(LOGIN, json=WRONG).status_code for _ in range(6)] == [401] * 5 + [429]
    answer = client.post(LOGIN, json=RIGHT)
    assert code(answer) == (429, "RATE_LIMITED")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "set-cookie" not in answer.headers


@pytest.mark.usefixtures("ada")
def test_a_form_comes_back_to_its_page_with_the_wait(client: httpx.Client) -> None:
    for _ in range(5):
        client.post(LOGIN, json=WRONG)
    answer = client.post(LOGIN, data=RIGHT, headers={"Origin": BASE})
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["error"] == ["slow"]
    assert 0 < int(query["wait"][0]) <= 60


@pytest.mark.usefixtures("ada")
def test_an_account_that_is_not_there_is_limited_alike(client: httpx.Client) -> None:
    nobody = {**WRONG, "email": "nobody@example.com"}
    assert [client.post(LOGIN, json=nobody).status_code for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.usefixtures("ada")
def test_behind_a_proxy_each_browser_is_counted_by_itself(client: httpx.Client) -> None:
    def guess(address: str) -> int:
        return client.post(LOGIN, json=WRONG, headers={"X-Forwarded-For": address}).status_code

    assert [guess("203.0.113.7") for _ in range(6)][-1] == 429
    assert guess("203.0.113.8") == 401


@pytest.mark.usefixtures("ada")
def test_an_address_that_a_stranger_claims_counts_for_nothing(
    client: httpx.Client, configure: Configure
) -> None:
    configure(FORWARDED_ALLOW_IPS="10.0.0.0/8")
    claims = [f"203.0.113.{number}" for number in range(6)]
    answers = [client.post(LOGIN, json=WRONG, headers={"X-Forwarded-For": claim}) for claim in claims]
    assert answers[-1].status_code == 429


def test_registering_is_limited_by_address(configure: Configure, make_client: MakeClient) -> None:
    configure(SIGNUP="closed")
    make_client().post("/api/auth/register", json=RIGHT)
    spend(limiting.REGISTRATIONS, "register", "127.0.0.1")
    assert code(make_client().post("/api/auth/register", json=RIGHT)) == (429, "RATE_LIMITED")


def test_scripts_generations_and_stores_are_limited_by_account(
    ada: Person, bob: Person, generator: Generator, configure: Configure
) -> None:
    spend(limiting.SCRIPTS, "scripts", ada.user_id)
    spend(limiting.GENERATIONS, "generations", ada.user_id)
    spend(limiting.STORES, "stores", ada.user_id)
    assert code(generate(ada)) == (429, "RATE_LIMITED")
    assert code(store(ada, generator.video_url)) == (429, "RATE_LIMITED")
    brief = {**SCRIPT, "topic": "Kettles", "email": ada.email}
    assert code(ada.api.post("/api/auth/create-video", json=brief)) == (429, "RATE_LIMITED")
    assert draft(bob)
    configure(RATE_LIMITS="off")
    assert draft(ada)


def spend(windows: limiting.Windows, purpose: str, who: str) -> None:
    """Use up all attempts."""
    while not limiting.limiter().take(windows, purpose, who):
        pass
