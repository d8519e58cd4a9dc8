"""The live view of what is in work: one loop a tab, over one look at the database for all tabs of a person."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from videovault.services import videos
from videovault.services.access import Caller
from videovault.services.videos import GalleryQuery
from videovault.services.views import GalleryView, NoticeView
from videovault.state.calls import Shared, quickly
from videovault.state.gallery import GalleryState
from videovault.state.news import NewsState, notices_for
from videovault.state.session import SessionState, signed_in
from videovault.state.shapes import Work
from videovault.state.studio import StudioState

BUSY_SECONDS, IDLE_SECONDS = 0.4, 1.0
FRESH_SECONDS = 0.3


@dataclass(frozen=True)
class Pulse:
    """What of a person's videos moves by itself."""

    works: dict[str, Work]
    counts: tuple[int, int, int]

    @classmethod
    def of(cls, view: GalleryView) -> "Pulse":
        works = {video.video_id: Work.of(video.progress) for video in view.videos if video.progress}
        return cls(works, (view.ready_count, view.processing_count, view.failed_count))

    def has_same_videos(self, other: "Pulse") -> bool:
        return self.works.keys() == other.works.keys() and self.counts == other.counts


_pulses: Shared[Pulse] = Shared(FRESH_SECONDS)


async def pulse_of(caller: Caller) -> Pulse:
    async def ask() -> Pulse:
        in_work = GalleryQuery(status="processing")
        return Pulse.of(await quickly(videos.gallery, caller, caller.user_id, in_work, links=False))

    return await _pulses.get(caller.user_id, ask)


class WorkState(SessionState):
    works: dict[str, Work] = {}

    @signed_in(background=True, supersedes=True)  # never two in one tab
    async def watch(self, caller: Caller) -> AsyncIterator[Any]:
        """Keep the page's progress and news true until the tab is left or the session ends; for on_load only."""
        seen: Pulse | None = None
        heard: Sequence[NoticeView] | None = None
        while True:
            pulse = await pulse_of(caller)
            if seen is None or pulse.works != seen.works:
                async with self:
                    self.works = pulse.works
            if seen is None or not pulse.has_same_videos(seen):
                yield [GalleryState.refresh, StudioState.refresh]
            seen = pulse
            news = await notices_for(caller)
            if news != heard:
                yield NewsState.tell
            heard = news
            await asyncio.sleep(BUSY_SECONDS if pulse.works else IDLE_SECONDS)
            caller = await self._caller()
