"""A day's budget of renders, as programs meet it."""

import pytest

from tests.api.requests import SCRIPT, code, generate
from tests.support.installation import Configure
from tests.support.people import Person
from videovault.services.accounts.accounts import authenticate
from videovault.services.generation import budget

pytestmark = pytest.mark.usefixtures("moto_s3", "generator")
GENERATE = "/api/auth/create-video/generate-video"


def test_a_used_up_budget_is_answered_429_with_the_time_until_tomorrow(
    ada: Person, bob: Person, configure: Configure
) -> None:
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY=1)
    assert generate(ada).status_code == 202
    refused = generate(ada)
    assert code(refused) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["retry-after"]) <= 24 * 3600
    assert generate(bob).status_code == 202


def test_the_budget_holds_without_rate_limits_too(ada: Person, configure: Configure) -> None:
    """It bounds what is paid for; the rate limits are switched off for load tests."""
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY_TOTAL=1, RATE_LIMITS="off")
    assert [generate(ada).status_code for _ in range(2)] == [202, 429]


def test_an_idempotent_repeat_does_not_count_twice(ada: Person, configure: Configure) -> None:
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY=2)
    body, key = {**SCRIPT, "email": ada.email}, {"Idempotency-Key": "one"}
    answers = [ada.api.post(GENERATE, json=body, headers=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["data"]["videoId"] for answer in answers}) == 1
    assert budget.remaining(authenticate(ada.token)).left == 1


def test_a_refused_call_may_be_repeated_under_its_key_when_there_is_budget(
    ada: Person, configure: Configure
) -> None:
    configure(GENERATE_WAIT_SECONDS=0, GENERATIONS_PER_DAY=1)
    generate(ada)
    body, key = {**SCRIPT, "email": ada.email}, {"Idempotency-Key": "two"}
    assert ada.api.post(GENERATE, json=body, headers=key).status_code == 429
    configure(GENERATIONS_PER_DAY=2)
    assert ada.api.post(GENERATE, json=body, headers=key).status_code == 202
