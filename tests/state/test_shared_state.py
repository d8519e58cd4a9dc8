"""Reflex's state in Redis: what a killed replica leaves behind, and a Redis that does not answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import reflex as rx
from redis.exceptions import TimeoutError as RedisTimeoutError
from reflex.istate.manager.token import BaseStateToken

from tests.support.frozen_proxy import frozen_proxy
from tests.support.installation import Configure
from tests.support.waiting import HANG_SECONDS
from videovault.gateways import redis_connection
from videovault.state import shared_state
from videovault.state.shared_state import SharedStates, SharedTokens

TAB = "a-tab"
Scenario = Callable[[], Awaitable[None]]


@pytest.fixture(autouse=True)
def _redis(configure: Configure, redis_url: str) -> None:
    configure(REDIS_URL=redis_url)


def run(scenario: Scenario) -> None:
    async def limited() -> None:
        async with asyncio.timeout(HANG_SECONDS):
            await scenario()

    asyncio.run(limited())


@asynccontextmanager
async def replica(*, is_alive: bool = True) -> AsyncIterator[SharedTokens]:
    tokens = SharedTokens(shared_state.redis_client())

    async def emit(*_update: object) -> None:
        pass

    if is_alive:
        tokens.ensure_lost_and_found_task(emit)
        await _subscribed(tokens)
    try:
        yield tokens
    finally:
        await tokens.redis.delete(tokens._get_redis_key(TAB))
        await tokens.close()


async def _subscribed(tokens: SharedTokens) -> None:
    if not await tokens._is_alive(tokens.instance_id):
        await asyncio.sleep(0.01)
        await _subscribed(tokens)


def test_the_tab_of_a_killed_replica_keeps_its_token_on_another_one() -> None:
    async def scenario() -> None:
        async with replica(is_alive=False) as killed, replica() as other:
            await killed.link_token_to_sid(TAB, "before")
            assert await other.link_token_to_sid(TAB, "after") is None

    run(scenario)


def test_only_a_running_replica_counts_as_alive() -> None:
    async def scenario() -> None:
        async with replica() as running, replica(is_alive=False) as killed:
            assert await killed._is_alive(running.instance_id)
            assert not await running._is_alive(killed.instance_id)

    run(scenario)


def test_a_tab_whose_disconnection_redis_did_not_hear_of_keeps_its_token() -> None:
    async def scenario() -> None:
        async with replica() as one:
            await one.link_token_to_sid(TAB, "before")
            one.token_to_socket.clear()
            one.sid_to_token.clear()
            assert await one.link_token_to_sid(TAB, "after") is None

    run(scenario)


def test_a_lock_lasts_as_long_as_its_handler_and_ends_soon_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_state, "RENEW_SECONDS", 0.05)

    async def scenario() -> None:
        states = shared_state.shared_states(lock_expiration=300, lock_warning_threshold=200)
        token = BaseStateToken(ident=TAB, cls=rx.State)
        key = states._lock_key(token)
        async with states._lock(token):
            await asyncio.sleep(0.6)
            assert await states.redis.get(key), "it was renewed"
        assert await states._try_get_lock(key, b"of a killed replica")
        async with states._lock(token):
            pass
        await states.close()

    run(scenario)


def test_a_frozen_redis_ends_calls_and_a_subscription_survives_it(
    configure: Configure, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(redis_connection, "IDLE_SECONDS", 1)
    monkeypatch.setattr(shared_state, "READ_SECONDS", 0.1)
    monkeypatch.setattr(shared_state, "RECONNECT_SECONDS", 0.1)

    async def scenario() -> None:
        with frozen_proxy(("127.0.0.1", urlsplit(redis_url).port or 0)) as proxy:
            configure(REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
            client = shared_state.redis_client()
            async with client.pubsub() as subscription:
                await subscription.subscribe("news")
                heard = asyncio.ensure_future(_next_message(subscription))
                assert await client.get(TAB) is None
                proxy.freeze()
                with pytest.raises(RedisTimeoutError):
                    await client.get(TAB)
                proxy.abandon()
                while not heard.done():
                    await client.publish("news", "hello")
                    await asyncio.sleep(0.05)
                assert heard.result() == b"hello"
            await client.aclose()

    run(scenario)


def test_a_lock_that_a_frozen_redis_gives_too_late_is_released_after_the_outage(
    configure: Configure, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "ANSWER_SECONDS", 0.2)

    async def scenario() -> None:
        with frozen_proxy(("127.0.0.1", urlsplit(redis_url).port or 0)) as proxy:
            configure(REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
            states = shared_state.shared_states(lock_expiration=60_000)
            token = BaseStateToken(ident=TAB, cls=rx.State)
            key = states._lock_key(token)
            assert await states.redis.get(key) is None
            proxy.freeze()
            with pytest.raises(RedisTimeoutError):
                await states.modify_state(token).__aenter__()
            proxy.thaw()
            await _given(states, key)  # the call arrives after all
            await states.release_unanswered()
            async with states._lock(token):
                pass
            await states.close()

    run(scenario)


def test_a_lock_whose_first_answer_was_late_is_held() -> None:
    async def scenario() -> None:
        states = shared_state.shared_states()
        key = states._lock_key(BaseStateToken(ident=TAB, cls=rx.State))
        assert await states._try_get_lock(key, b"mine")
        assert await states._try_get_lock(key, b"mine")
        assert not await states._try_get_lock(key, b"another's")
        await states.redis.delete(key)
        await states.close()

    run(scenario)


async def _given(states: SharedStates, key: bytes) -> None:
    if not await states.redis.get(key):
        await asyncio.sleep(0.01)
        await _given(states, key)


async def _next_message(subscription: shared_state.PatientPubSub) -> object:
    async for message in subscription.listen():
        if message["type"] == "message":
            return message["data"]
    return None
