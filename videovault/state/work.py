"""The live view of what is in work: one loop a tab, which sleeps until its person's videos move."""

from collections.abc import AsyncIterator
from typing import Any

from videovault.services.access import Caller
from videovault.state.gallery import GalleryState
from videovault.state.news import NewsState
from videovault.state.pulses import Pulse, pulses
from videovault.state.session import SESSION_SECONDS, SessionState, signed_in
from videovault.state.shapes import Work
from videovault.state.studio import StudioState


class WorkState(SessionState):
    works: dict[str, Work] = {}

    @signed_in(background=True, supersedes=True)  # never two in one tab
    async def watch(self, caller: Caller) -> AsyncIterator[Any]:
        """Keep the page's progress and news true until the tab is left or the session ends; for on_load only."""
        seen: Pulse | None = None
        while True:
            pulse = await pulses.hear(caller.user_id, seen, SESSION_SECONDS)
            if seen is None or pulse.works != seen.works:
                async with self:
                    self.works = dict(pulse.works)
            if seen is None or pulse.changes - seen.changes:
                yield [GalleryState.refresh, StudioState.refresh, NewsState.tell]
            seen = pulse
            caller = await self._caller()
