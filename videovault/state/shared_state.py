"""Reflex's state in Redis, shared by all replicas: bounded waits, and no trace left by a replica that was killed.

Reflex' own client waits without end. A tab whose replica was killed would find its lock held for ten seconds and its
token in use, and would start with an empty state.
"""

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from reflex.app import App
from reflex.istate.manager.redis import StateManagerRedis, enable_keyspace_notifications
from reflex.istate.manager.token import StateToken
from reflex.state import StateUpdate
from reflex.utils.token_manager import LocalTokenManager, LostAndFoundRecord, RedisTokenManager, SocketRecord

from videovault.config import settings
from videovault.gateways import redis_connection
from videovault.state.outages import OUTAGE_ERRORS, monitor

LOCK_MILLISECONDS = 3000  # after the death of its holder; renewed as long as an event is handled
LOCK_WARNING_MILLISECONDS = 2000
RENEW_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
READ_SECONDS = 5.0
CANCEL_SECONDS = 0.5
NO_TAB = ""
MAX_UNANSWERED = 10_000
RELEASE = """if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end"""


class PatientPubSub(PubSub):
    """Subscriptions that survive an outage quietly, and notice a connection on which nothing arrives any more."""

    async def listen(self) -> AsyncIterator[Any]:
        while self.subscribed:
            message = await self._next()
            if message is not None:
                yield message

    async def _next(self) -> Any:
        """A message, or None when there was none for READ_SECONDS, or none could be read."""
        try:
            message: object = await self.get_message(timeout=READ_SECONDS)
            self._check_answered()
        except OUTAGE_ERRORS:
            connection: Any = self.connection
            if connection:  # the next call connects and subscribes again
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_SECONDS)
            return None
        return message

    def _check_answered(self) -> None:
        """redis-py sends a check IDLE_SECONDS after the last message, but does not notice a missing answer."""
        due = getattr(self.connection, "next_health_check", 0.0)
        if due > 0 and asyncio.get_running_loop().time() > due + redis_connection.ANSWER_SECONDS:
            raise RedisConnectionError("the subscription is not answered")


class BoundedRedis(Redis):
    """A client whose subscriptions are patient."""

    def pubsub(self, **options: Any) -> PatientPubSub:
        return PatientPubSub(self.connection_pool, **options)


class SharedStates(StateManagerRedis):
    """States whose locks end soon after the death of their holder, however long a handler takes."""

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call] # Reflex ships it without types
        self._unanswered: dict[bytes, bytes] = {}  # the keys of locks by id, in the order of the calls

    async def release_unanswered(self) -> None:
        """Release the locks that were requested in an outage: Redis grants them at its end, after the callers gave up."""
        unanswered, self._unanswered = self._unanswered, {}
        pipeline = self.redis.pipeline(transaction=False)
        for lock_id, lock_key in unanswered.items():
            pipeline.eval(RELEASE, 1, lock_key, lock_id)
        await pipeline.execute()
        for lock_key in list(self._lock_waiters):  # what Redis said of releases meanwhile is lost
            self._notify_next_waiter(lock_key)

    async def _try_get_lock(self, lock_key: bytes, lock_id: bytes) -> bool:
        try:
            is_held = await super()._try_get_lock(lock_key, lock_id)
            # The client asks twice: the first call may have been answered too late.
            return bool(is_held) or await self.redis.get(lock_key) == lock_id
        except OUTAGE_ERRORS:
            self._unanswered[lock_id] = lock_key
            if len(self._unanswered) > MAX_UNANSWERED:
                del self._unanswered[next(iter(self._unanswered))]
            raise

    @asynccontextmanager
    async def _lock(self, token: StateToken[Any], event_name: str | None = None) -> AsyncIterator[bytes]:
        async with super()._lock(token, event_name) as lock_id:
            renewing = asyncio.create_task(self._renew(self._lock_key(token), lock_id))
            try:
                yield lock_id
            finally:
                renewing.cancel()

    async def close(self) -> None:
        await _end(self._lock_task)
        await super().close()  # type: ignore[no-untyped-call] # Reflex ships it without types

    async def _renew(self, lock_key: bytes, lock_id: bytes) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(RedisError):
                if await self.redis.get(lock_key) == lock_id:
                    await self._try_extend_lock(lock_key)


class SharedTokens(RedisTokenManager):
    """The tabs of all replicas, without those of replicas that were killed."""

    async def link_token_to_sid(self, token: str, sid: str) -> str | None:
        if monitor.is_outage:  # the tab is connected again at its end
            return await LocalTokenManager.link_token_to_sid(self, token, sid)
        with suppress(RedisError):
            await self._remove_stale_record(token)
        return await super().link_token_to_sid(token, sid)

    async def close(self) -> None:
        for task in (self._socket_record_task, self._lost_and_found_task):
            await _end(task)
        await super().close()

    async def _remove_stale_record(self, token: str) -> None:
        """Reflex would take the tab for a copy of the one that the record names, and give it a new token."""
        key = self._get_redis_key(token)
        stored = await self.redis.get(key)
        if not stored:
            return
        record: SocketRecord = pickle.loads(stored)  # noqa: S301 - Reflex's own format, in our Redis
        if record.instance_id == self.instance_id:
            is_stale = self.sid_to_token.get(record.sid) != token
        else:
            is_stale = not await self._is_alive(record.instance_id)
        if is_stale:
            await self.redis.delete(key)

    async def _is_alive(self, instance_id: str) -> bool:
        """Whether the replica is subscribed to its channel: Redis ends subscriptions with their connection."""
        message = pickle.dumps(LostAndFoundRecord(token=NO_TAB, update=StateUpdate()))
        channel = f"channel:{self._get_lost_and_found_key(instance_id)}"
        return bool(await self.redis.publish(channel, message))


async def _end(task: "asyncio.Task[Any] | None") -> None:
    """Cancel until it has ended: redis-py waits with asyncio.wait_for, which in Python 3.11 may lose a cancellation."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_SECONDS)


def redis_client() -> Redis:
    client: Redis = BoundedRedis.from_url(settings().redis_url, **redis_connection.async_client_options())
    return client


def shared_states(**options: int) -> SharedStates:
    """``options`` are Reflex' own."""
    make: Any = SharedStates  # abstract by its types, since Reflex decorates its methods
    states: SharedStates = make(redis=redis_client(), **options)
    return states


def install(app: App) -> None:
    """Replace Reflex' own state manager. Before the app starts to handle events."""
    if isinstance(app.state_manager, StateManagerRedis):
        app._state_manager = shared_states(  # noqa: SLF001 - Reflex has no setting for it
            lock_expiration=LOCK_MILLISECONDS, lock_warning_threshold=LOCK_WARNING_MILLISECONDS
        )


def ask(states: StateManagerRedis) -> Callable[[], Awaitable[Any]]:
    """A probe of Redis."""

    async def ping() -> None:
        await cast("Awaitable[bool]", states.redis.ping())

    return ping


async def restore(app: App) -> None:
    """After an outage: a restarted Redis does not report released locks, and abandoned locks may be left in it."""
    states = app.state_manager
    if isinstance(states, SharedStates):
        with suppress(RedisError):
            await enable_keyspace_notifications(states.redis)
            await states.release_unanswered()
