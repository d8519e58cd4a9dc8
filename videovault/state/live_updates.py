"""What moves by itself, for every page that is open in this process, from one look at the database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from videovault import logs
from videovault.models import utcnow
from videovault.services.core.access import Caller
from videovault.services.core.views import NoticeView
from videovault.services.videos import live_updates
from videovault.state import wording
from videovault.state.background import run_in_db_pool
from videovault.state.create import CreateState
from videovault.state.gallery import GalleryState
from videovault.state.session import SESSION_SECONDS, SessionState, signed_in
from videovault.state.view_models import VideoNotice, VideoProgress

# One look for everybody who listens: each hears when something has changed for them, and costs nothing before.

T = TypeVar("T")
TROUBLE_SECONDS = 5.0  # between looks while the database does not answer

log = logs.get(__name__)


class ChangeFeed(Generic[T]):
    """Looks for all who listen, and only while somebody does.

    Those whom ``look`` leaves out have ``nothing``; ``pause`` says how many seconds to wait after what was found.
    """

    def __init__(
        self,
        look: Callable[[Collection[str]], Awaitable[Mapping[str, T]]],
        pause: Callable[[Mapping[str, T]], float],
        nothing: T,
    ) -> None:
        self._look, self._pause, self._nothing = look, pause, nothing
        self._listeners: dict[str, set[asyncio.Future[T]]] = {}
        self._known: dict[str, T] = {}
        self._looking: asyncio.Task[None] | None = None
        self._newcomers = asyncio.Event()

    async def hear(self, person: str, heard: T | None, seconds: float) -> T:
        """What is true for ``person``, once that is not what was ``heard``; after ``seconds`` in any case."""
        known = self._known.get(person)
        if known is not None and known != heard:
            return known
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._listeners.setdefault(person, set()).add(told)
        self._start(is_new=known is None)
        try:
            async with asyncio.timeout(seconds):
                return await told
        except TimeoutError:
            return self._nothing if heard is None else heard
        finally:
            self._listeners.get(person, set()).discard(told)

    def _start(self, *, is_new: bool) -> None:
        if self._looking is None or self._looking.done():
            self._newcomers = asyncio.Event()
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking())
        elif is_new:
            self._newcomers.set()  # not to wait until it would look anyway

    async def _keep_looking(self) -> None:
        try:
            while self._listeners:
                self._newcomers.clear()
                pause = await self._once()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._newcomers.wait()
                self._forget_who_left()
        finally:
            self._known = {}

    async def _once(self) -> float:
        """Look, tell whom it concerns, and say how long to wait until the next look."""
        people = list(self._listeners)
        try:
            found = await self._look(people)
        except SQLAlchemyError:
            log.exception("pages cannot look at the database")
            return TROUBLE_SECONDS
        for person in people:
            self._tell(person, found.get(person, self._nothing))
        return self._pause(found)

    def _tell(self, person: str, now: T) -> None:
        before, self._known[person] = self._known.get(person), now
        if before == now:
            return
        for told in self._listeners.get(person, ()):
            if not told.done():
                told.set_result(now)

    def _forget_who_left(self) -> None:
        self._listeners = {person: told for person, told in self._listeners.items() if told}
        self._known = {person: now for person, now in self._known.items() if person in self._listeners}


BUSY_SECONDS, IDLE_SECONDS = 0.4, 1.0  # between looks, while videos are in work and while none is


@dataclass(frozen=True)
class UserUpdates:
    """``changes`` are the numbers of what happened of late, as the services' pulse has them."""

    works: Mapping[str, VideoProgress] = field(default_factory=dict)
    changes: frozenset[int] = frozenset()
    notices: Sequence[NoticeView] = ()

    @classmethod
    def of(cls, found: live_updates.UserUpdates) -> "UserUpdates":
        works = {video_id: VideoProgress.of(progress) for video_id, progress in found.progress.items()}
        return cls(works, found.changes, found.notices)


async def _look(people: Collection[str]) -> Mapping[str, UserUpdates]:
    found = await run_in_db_pool(live_updates.read_updates, people)
    return {person: UserUpdates.of(pulse) for person, pulse in found.items()}


def _pause(found: Mapping[str, UserUpdates]) -> float:
    return BUSY_SECONDS if any(pulse.works for pulse in found.values()) else IDLE_SECONDS


update_feed: ChangeFeed[UserUpdates] = ChangeFeed(_look, _pause, UserUpdates())


# What a page tells of videos that became ready or failed meanwhile, whichever page is open.

SHOWN_AT_ONCE = 3
REMEMBERED = 200
# A tab that has just been opened was not yet listening when its person was already looking.
WHILE_OPENING = timedelta(seconds=2)


async def notices_for(caller: Caller) -> Sequence[NoticeView]:
    """The caller's part of what one look at the database found for everybody."""
    return (await update_feed.hear(caller.user_id, None, IDLE_SECONDS)).notices


class VideoNoticesState(SessionState):
    _told: list[int] | None = None  # by number, so that no page of this tab says it again

    @signed_in
    async def tell(self, caller: Caller) -> None:
        """Show what this tab has not told yet; of the time before it was opened, nothing."""
        found = await notices_for(caller)
        if self._told is None:
            self._told = [notice.number for notice in found if notice.at < utcnow() - WHILE_OPENING]
        untold = [notice for notice in found if notice.number not in self._told]
        if not untold:
            return
        self._told = sorted({*self._told, *(notice.number for notice in untold)})[-REMEMBERED:]
        studio = await self.get_state(CreateState)
        watched = studio.video.video_id if studio.stage else ""
        self._show([notice for notice in untold if notice.video_id != watched])  # the modal tells by itself

    @signed_in
    async def hide(self, caller: Caller, number: int) -> None:  # noqa: ARG002 - every handler asks who calls
        """Take one of the news away."""
        self.news = [shown for shown in self.news if shown.number != number]

    def _show(self, untold: Sequence[NoticeView]) -> None:
        fresh = [VideoNotice.of(notice) for notice in untold]
        if len(fresh) > SHOWN_AT_ONCE:
            fresh = [_together(untold)]
        if fresh:
            self.news = [*self.news, *fresh][-SHOWN_AT_ONCE:]


def _together(untold: Sequence[NoticeView]) -> VideoNotice:
    failed = sum(bool(notice.reason) for notice in untold)
    text = wording.news(len(untold) - failed, failed)
    return VideoNotice(number=untold[-1].number, text=text, is_bad=bool(failed))


# The live view of what is in work: one loop a tab, which sleeps until its person's videos move.


class ProgressState(SessionState):
    works: dict[str, VideoProgress] = {}

    @signed_in(background=True, supersedes=True)  # never two in one tab
    async def watch(self, caller: Caller) -> AsyncIterator[Any]:
        """Keep the page's progress and news true until the tab is left or the session ends; for on_load only."""
        seen: UserUpdates | None = None
        while True:
            pulse = await update_feed.hear(caller.user_id, seen, SESSION_SECONDS)
            if seen is None or pulse.works != seen.works:
                async with self:
                    self.works = dict(pulse.works)
            if seen is None or pulse.changes - seen.changes:
                yield [GalleryState.refresh, CreateState.refresh, VideoNoticesState.tell]
            seen = pulse
            caller = await self._caller()
