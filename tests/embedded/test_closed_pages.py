"""The state of a page after its socket has closed, in Redis."""

import time
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.support.app import running_app
from tests.support.attackers import load
from tests.support.raw_tab import HYDRATE, RawTab
from videovault.state.page_events import MAX_CLOSED_PER_SESSION

pytestmark = pytest.mark.process


def test_redis_keeps_the_state_of_a_limited_number_of_closed_pages_with_a_session(
    tmp_path: Path, redis_url: str
) -> None:
    with running_app(tmp_path / "var", REDIS_URL=redis_url) as app, Redis.from_url(redis_url) as redis:
        account = {"email": "ada@example.com", "password": "correct horse battery"}
        answer = httpx.post(f"{app.url}/api/auth/register", json=account, timeout=60).raise_for_status()
        cookie = f"videovault_session={answer.json()['data']['token']}"
        for _ in range(3):
            with RawTab(app.url) as tab:
                load(tab, HYDRATE)
        for _ in range(MAX_CLOSED_PER_SESSION + 3):
            with RawTab(app.url, cookie=cookie) as tab:
                load(tab, HYDRATE)
        until = time.monotonic() + 60
        while (kept := _pages(redis)) != MAX_CLOSED_PER_SESSION:
            assert time.monotonic() < until, kept
            time.sleep(0.5)


def _pages(redis: Redis) -> int:
    """The number of tabs with state; the keys of a tab begin with its token."""
    part = b"_reflex___state____state"
    return len({key.partition(part)[0] for key in redis.scan_iter() if part in key})
