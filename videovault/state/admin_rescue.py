"""The dialog in which an admin gives a stuck video the address of its finished file."""

from typing import Any

from videovault import worker
from videovault.services import inbox, videos
from videovault.services.access import Caller
from videovault.state.admin import AdminState
from videovault.state.admin_inbox import AdminInboxState
from videovault.state.admin_videos import AdminVideosState
from videovault.state.calls import patiently, quickly
from videovault.state.session import signed_in
from videovault.state.shapes import Card


class AdminRescueState(AdminState):
    stuck: Card = Card()
    is_busy: bool = False

    @signed_in
    async def open(self, caller: Caller, video_id: str) -> None:
        self.errors, self.is_busy = {}, False  # whatever a server that died left behind
        self.stuck = Card.of(await quickly(videos.get, caller, video_id, links=False))

    @signed_in
    async def close(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        self.stuck, self.errors = Card(), {}

    @signed_in(beside="videoUrl")
    async def give(self, caller: Caller, form: dict[str, Any]) -> Any:
        """Hand the address over; storing begins."""
        if self.is_busy or not self.stuck.video_id:
            return
        self.is_busy, self.errors = True, {}
        yield
        try:
            url = str(form.get("videoUrl", ""))
            await patiently(inbox.rescue, caller, self.stuck.video_id, url, enqueue=worker.enqueue)
        finally:
            self.is_busy = False
        self._say(f"“{self.stuck.title}” is being stored.")
        self.stuck = Card()
        yield [AdminVideosState.refresh, AdminInboxState.refresh]
