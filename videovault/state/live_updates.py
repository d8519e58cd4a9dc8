"""Live updates of open pages: one query per interval serves every tab in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from reflex_base.constants.state import FIELD_MARKER
from reflex_base.event.context import EventContext
from sqlalchemy.exc import SQLAlchemyError

from videovault import logs
from videovault.clock import utcnow
from videovault.logs import OncePerInterval
from videovault.services.core.access import Caller
from videovault.services.core.views import NoticeView
from videovault.services.videos import live_updates
from videovault.state import wording
from videovault.state.background import run_in_db_pool
from videovault.state.create import CreateState
from videovault.state.gallery import GalleryState
from videovault.state.outages import OUTAGE_ERRORS, is_outage_error, monitor
from videovault.state.session import SESSION_SECONDS, SessionState, open_tabs, signed_in
from videovault.state.view_models import VideoNotice, VideoProgress

T = TypeVar("T")
RETRY_SECONDS = 0.2  # after the end of an outage
FAILURE_LOG_SECONDS = 60.0
BUSY_SECONDS, IDLE_SECONDS = 0.4, 1.0  # between queries, with and without videos in progress
LOOK_SECONDS = 0.08  # between two looks whether there is something to query
MAX_SHOWN_NOTICES = 3
PROGRESS_VAR = f"progress{FIELD_MARKER}"
MAX_REMEMBERED_NOTICES = 200
# The feed may already have been running for the user when this tab was opened.
OPENING = timedelta(seconds=2)

log = logs.get(__name__)
_failures = OncePerInterval(FAILURE_LOG_SECONDS)


class ChangeFeed(Generic[T]):
    """Queries for all subscribers at once, only while there are any, and wakes those whose value has changed.

    Users that ``query`` leaves out have ``default``; ``pause`` gives the seconds until the next query, which is cut short
    when ``newest`` gives something else than before: it costs much less than a query.
    """

    def __init__(
        self,
        query: Callable[[Collection[str]], Awaitable[Mapping[str, T]]],
        pause: Callable[[Mapping[str, T]], float],
        default: T,
        newest: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._query, self._pause, self._default, self._newest = query, pause, default, newest
        self._waiting: dict[str, set[asyncio.Future[T]]] = {}
        self._latest: dict[str, T] = {}
        self._polling: asyncio.Task[None] | None = None
        self._new_subscriber = asyncio.Event()

    async def next_value(self, user_id: str, last: T | None, seconds: float) -> T:
        """The user's value as soon as it differs from ``last``; after ``seconds`` in any case."""
        latest = self._latest.get(user_id)
        if latest is not None and latest != last:
            return latest
        changed: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user_id, set()).add(changed)
        self._start(is_new=latest is None)
        try:
            async with asyncio.timeout(seconds):
                return await changed
        except TimeoutError:
            return self._default if last is None else last
        finally:
            self._waiting.get(user_id, set()).discard(changed)

    def wake_all(self) -> None:
        """Give all subscribers the latest value, whether or not it has changed."""
        for user_id, waiting in self._waiting.items():
            for changed in waiting:
                if not changed.done():
                    changed.set_result(self._latest.get(user_id, self._default))
        self._new_subscriber.set()

    def _start(self, *, is_new: bool) -> None:
        if self._polling is None or self._polling.done():
            self._new_subscriber = asyncio.Event()
            self._polling = asyncio.get_running_loop().create_task(self._poll())
        elif is_new:
            self._new_subscriber.set()  # cuts the current pause short

    async def _poll(self) -> None:
        try:
            while self._waiting:
                self._new_subscriber.clear()
                before = await self._look()
                await self._wait(await self._poll_once(), before)
                self._drop_unsubscribed()
        finally:
            self._latest = {}

    async def _wait(self, seconds: float, before: int) -> None:
        """Until something is new, there is a new subscriber, or the time is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS) if self._newest else left):
                    await self._new_subscriber.wait()
                    return
            if await self._look() != before:
                return

    async def _look(self) -> int:
        """Zero while the database is unavailable: the query reports that."""
        if self._newest is None:
            return 0
        try:
            return await self._newest()
        except SQLAlchemyError:
            return 0

    async def _poll_once(self) -> float:
        """Query and wake the subscribers concerned; the seconds until the next query."""
        user_ids = list(self._waiting)
        try:
            found = await self._query(user_ids)
        except SQLAlchemyError as error:
            if _failures.is_due(type(error).__name__):
                log.warning("live updates cannot read the database", reason=type(error).__name__)
            await monitor.wait_for_end()
            return RETRY_SECONDS
        for user_id in user_ids:
            self._publish(user_id, found.get(user_id, self._default))
        return self._pause(found)

    def _publish(self, user_id: str, value: T) -> None:
        before, self._latest[user_id] = self._latest.get(user_id), value
        if before == value:
            return
        for changed in self._waiting.get(user_id, ()):
            if not changed.done():
                changed.set_result(value)

    def _drop_unsubscribed(self) -> None:
        self._waiting = {user_id: waiting for user_id, waiting in self._waiting.items() if waiting}
        self._latest = {user_id: value for user_id, value in self._latest.items() if user_id in self._waiting}


@dataclass(frozen=True)
class UserUpdates:
    """The services' updates of one user, with progress as pages show it."""

    progress: Mapping[str, VideoProgress] = field(default_factory=dict)
    changes: frozenset[int] = frozenset()
    notices: Sequence[NoticeView] = ()

    @classmethod
    def of(cls, found: live_updates.UserUpdates) -> "UserUpdates":
        progress = {video_id: VideoProgress.of(one) for video_id, one in found.progress.items()}
        return cls(progress, found.changes, found.notices)


_reader = live_updates.UpdatesReader()


async def _newest_change() -> int:
    return await run_in_db_pool(live_updates.newest_change)


async def _read_updates(user_ids: Collection[str]) -> Mapping[str, UserUpdates]:
    found = await run_in_db_pool(_reader.read, user_ids)
    return {user_id: UserUpdates.of(updates) for user_id, updates in found.items()}


def _pause(found: Mapping[str, UserUpdates]) -> float:
    return BUSY_SECONDS if any(updates.progress for updates in found.values()) else IDLE_SECONDS


update_feed: ChangeFeed[UserUpdates] = ChangeFeed(_read_updates, _pause, UserUpdates(), _newest_change)


async def notices_for(caller: Caller) -> Sequence[NoticeView]:
    """The caller's recent notices, from the query that serves all users."""
    return (await update_feed.next_value(caller.user_id, None, IDLE_SECONDS)).notices


class VideoNoticesState(SessionState):
    """Notices of videos that became ready or failed, on whichever page is open."""

    _seen: list[int] | None = None  # by number, so that no page of this tab repeats a notice

    @signed_in
    async def show_new(self, caller: Caller) -> None:
        """Show what this tab has not shown yet, except for what happened before it was opened."""
        found = await notices_for(caller)
        if self._seen is None:
            self._seen = [notice.number for notice in found if notice.at < utcnow() - OPENING]
        unseen = [notice for notice in found if notice.number not in self._seen]
        if not unseen:
            return
        self._seen = sorted({*self._seen, *(notice.number for notice in unseen)})[-MAX_REMEMBERED_NOTICES:]
        create = await self.get_state(CreateState)
        in_modal = create.video.video_id if create.stage else ""  # the modal shows the result itself
        self._show([notice for notice in unseen if notice.video_id != in_modal])

    @signed_in
    async def hide(self, number: int) -> None:
        self.video_notices = [shown for shown in self.video_notices if shown.number != number]

    def _show(self, unseen: Sequence[NoticeView]) -> None:
        added = [VideoNotice.of(notice) for notice in unseen]
        if len(added) > MAX_SHOWN_NOTICES:
            added = [_summary(unseen)]
        if added:
            self.video_notices = [*self.video_notices, *added][-MAX_SHOWN_NOTICES:]


def _summary(unseen: Sequence[NoticeView]) -> VideoNotice:
    failed = sum(bool(notice.reason) for notice in unseen)
    text = wording.ready_and_failed(len(unseen) - failed, failed)
    return VideoNotice(number=unseen[-1].number, text=text, is_bad=bool(failed))


class ProgressState(SessionState):
    """The progress of the user's videos, kept up to date by one loop per tab.

    In the tab's state is the progress of when the loop began. What follows goes to the page only: with state in Redis,
    each step would cost a lock, a read and a write.
    """

    progress: dict[str, VideoProgress] = {}

    @signed_in(background=True, supersedes=True)  # never two in one tab
    async def watch(self, caller: Caller) -> AsyncIterator[Any]:
        """Update progress and notices until the tab is closed or the session ends. For on_load only."""
        last: UserUpdates | None = None
        token = self.router.session.client_token
        socket = open_tabs.socket_of(token)  # another session of the tab has another one
        while socket and open_tabs.socket_of(token) == socket:
            try:
                updates = await update_feed.next_value(caller.user_id, last, SESSION_SECONDS)
                caller = await self._caller()  # the session may have ended during the wait
                if last is None:
                    async with self:
                        self.progress = dict(updates.progress)
                is_new = last is None or updates.progress != last.progress
                if is_new and open_tabs.socket_of(token) == socket:
                    await _send_progress(updates.progress)
                if events := _events(updates, last):
                    yield events
                last = updates
            except OUTAGE_ERRORS as error:
                if not is_outage_error(error):
                    raise
                await monitor.wait_for_end()  # what has changed meanwhile is still new then


def _events(updates: UserUpdates, last: UserUpdates | None) -> list[Any]:
    """What refreshes the page, if anything has happened."""
    if last is not None and not updates.changes - last.changes:
        return []
    has_notices = last is None or updates.notices != last.notices
    return [GalleryState.refresh, CreateState.refresh, *([VideoNoticesState.show_new] if has_notices else [])]


async def _send_progress(progress: Mapping[str, VideoProgress]) -> None:
    await EventContext.get().emit_delta({ProgressState.get_full_name(): {PROGRESS_VAR: dict(progress)}})
