"""The daily budget of an account and of the installation holds under concurrency."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.conftest import SCRIPT
from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.db import reading, transaction
from videovault.errors import QuotaExceeded, RateLimited
from videovault.models import GenerationCount, Status, Video
from videovault.services.accounts import accounts
from videovault.services.core import quota
from videovault.services.core.access import Caller
from videovault.services.generation import budget, orders, scripts
from videovault.services.generation.budget import BudgetView
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline

WEBHOOK = {"VIDEO_WEBHOOK_URL": "https://generator.example/video"}


def person(email: str) -> Caller:
    return accounts.authenticate(accounts.register(email, "correct horse").token)


def try_order(caller: Caller) -> int:
    """Order a video; returns 0, or the seconds to wait."""
    try:
        orders.request(caller, SCRIPT, enqueue=list)
    except RateLimited as error:
        return error.retry_after
    return 0


def count_videos() -> int:
    with reading() as session:
        return len(session.exec(select(Video)).all())


def test_concurrent_orders_stay_within_the_account_budget(database: str, configure: Configure) -> None:
    del database
    configure(**WEBHOOK, GENERATIONS_PER_DAY=3)
    anna = person("anna@example.com")
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: try_order(anna), range(8)))
    assert (waits.count(0), count_videos()) == (3, 3)
    assert all(0 < wait <= 24 * 3600 for wait in waits if wait)
    assert budget.remaining(anna) == BudgetView(limit=3, left=0, left_in_total=None)


def test_concurrent_accounts_stay_within_the_total_budget(database: str, configure: Configure) -> None:
    del database
    configure(**WEBHOOK, GENERATIONS_PER_DAY_TOTAL=4)
    people = [person(f"{number}@example.com") for number in range(3)]
    with ThreadPoolExecutor(9) as pool:
        waits = list(pool.map(try_order, people * 3))
    assert (waits.count(0), count_videos()) == (4, 4)
    assert budget.remaining(people[0]) == BudgetView(limit=None, left=None, left_in_total=0)


def test_accounts_have_separate_budgets(configure: Configure) -> None:
    configure(**WEBHOOK, GENERATIONS_PER_DAY=1)
    anna, bert = person("anna@example.com"), person("bert@example.com")
    assert [bool(try_order(anna)), bool(try_order(anna)), bool(try_order(bert))] == [False, True, False]


def test_only_renders_count_against_the_budget(
    anna: Caller, generator: Generator, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second click, a full account and the retry of a transfer cost nothing; a new render does."""
    configure(**WEBHOOK, GENERATIONS_PER_DAY=3)
    video_id = orders.request(anna, SCRIPT, enqueue=list).video_id
    orders.request(anna, SCRIPT, video_id, enqueue=list)
    assert budget.remaining(anna).left == 2
    monkeypatch.setattr(quota, "MAX_VIDEOS", 0)
    with pytest.raises(QuotaExceeded):
        orders.request(anna, SCRIPT, enqueue=list)
    assert (count_videos(), budget.remaining(anna).left) == (1, 2)
    monkeypatch.setattr(quota, "MAX_VIDEOS", 2)
    set_failed(video_id, source_url=generator.video_url)
    pipeline.retry(anna, video_id, enqueue=list)
    assert budget.remaining(anna).left == 2
    set_failed(video_id, source_url=None)
    pipeline.retry(anna, video_id, enqueue=list)
    assert budget.remaining(anna).left == 1


def test_a_retry_over_the_budget_leaves_the_video_unchanged(anna: Caller, configure: Configure) -> None:
    configure(**WEBHOOK, GENERATIONS_PER_DAY=1)
    video_id = orders.request(anna, SCRIPT, enqueue=list).video_id
    pipeline.cancel(anna, video_id)
    with pytest.raises(RateLimited, match="Your 1 video for today is used up"):
        pipeline.retry(anna, video_id, enqueue=list)
    with reading() as session:
        video = session.get_one(Video, video_id)
    assert (video.status, video.error_code) == (Status.FAILED, "CANCELLED")


def test_the_next_day_begins_with_a_full_budget(anna: Caller, configure: Configure) -> None:
    configure(**WEBHOOK, GENERATIONS_PER_DAY=1)
    try_order(anna)
    age_counts(days=1)
    assert budget.remaining(anna).left == 1
    assert try_order(anna) == 0


def test_counts_of_past_days_are_purged(anna: Caller, configure: Configure) -> None:
    configure(**WEBHOOK)
    try_order(anna)
    repair.clean_up()
    assert len(list_counts()) == 2
    age_counts(days=budget.RETENTION.days + 1)
    repair.clean_up()
    assert list_counts() == []


def test_a_budget_set_during_the_day_counts_earlier_renders(anna: Caller, configure: Configure) -> None:
    configure(**WEBHOOK)
    try_order(anna)
    assert budget.remaining(anna) == BudgetView(limit=None, left=None, left_in_total=None)
    configure(GENERATIONS_PER_DAY=2, GENERATIONS_PER_DAY_TOTAL=5)
    assert budget.remaining(anna) == BudgetView(limit=2, left=1, left_in_total=4)


@pytest.mark.usefixtures("generator")
def test_an_account_is_limited_to_a_number_of_videos(
    anna: Caller, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(**WEBHOOK)
    monkeypatch.setattr(quota, "MAX_VIDEOS", 1)
    asks: list[Callable[[], object]] = [
        lambda: scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"}),
        lambda: try_order(anna),
    ]
    try_order(anna)
    for ask in asks:
        with pytest.raises(QuotaExceeded, match="Delete some first"):
            ask()


def set_failed(video_id: str, source_url: str | None) -> None:
    with transaction() as session:
        video = session.get_one(Video, video_id)
        video.status, video.error_code, video.source_url = Status.FAILED, "GENERATION_FAILED", source_url


def age_counts(days: int) -> None:
    """Make all counts older by this many days."""
    with transaction() as session:
        for row in session.exec(select(GenerationCount)).all():
            older = GenerationCount(user_id=row.user_id, day=row.day - timedelta(days=days), count=row.count)
            session.delete(row)
            session.add(older)


def list_counts() -> list[GenerationCount]:
    with reading() as session:
        return list(session.exec(select(GenerationCount)))
