"""A person's gallery: what is shown of it, and what is done to one video from its card."""

from collections.abc import AsyncIterator
from typing import cast

from videovault import worker
from videovault.services import deletion, pipeline, videos
from videovault.services.access import Caller
from videovault.services.videos import GalleryQuery
from videovault.services.views import PublicStatus
from videovault.state.calls import patiently, quickly
from videovault.state.session import SessionState, signed_in
from videovault.state.shapes import Card, Counts

PAGE = 24
FILTERS = ("", "ready", "processing", "failed", "draft")


class GalleryState(SessionState):
    cards: list[Card] = []
    counts: Counts = Counts()
    shown: str = ""
    has_more: bool = False
    is_loaded: bool = False

    playing: Card = Card()
    doomed: Card = Card()
    is_deleting: bool = False

    _limit: int = PAGE

    @signed_in
    async def load(self, caller: Caller) -> None:
        self._limit = PAGE
        await self._read(caller)

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """Read again what a page that shows the gallery has read before."""
        if self.is_loaded:
            await self._read(caller)

    @signed_in
    async def show(self, caller: Caller, status: str) -> None:
        """Show the videos of one status only, all but drafts for an empty one."""
        self.shown, self._limit = (status if status in FILTERS else ""), PAGE
        await self._read(caller)

    @signed_in
    async def more(self, caller: Caller) -> None:
        self._limit += PAGE
        await self._read(caller)

    @signed_in
    async def play(self, caller: Caller, video_id: str) -> None:
        self.playing = Card.of(await quickly(videos.get, caller, video_id, links=False))

    @signed_in
    async def stop(self, caller: Caller) -> None:  # noqa: ARG002 - every handler of a signed-in page asks who calls
        self.playing = Card()

    @signed_in
    async def ask(self, caller: Caller, video_id: str) -> None:
        """Ask whether this video is really to be deleted."""
        self.doomed = Card.of(await quickly(videos.get, caller, video_id, links=False))

    @signed_in
    async def spare(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.doomed = Card()

    @signed_in
    async def delete(self, caller: Caller) -> AsyncIterator[None]:
        """Delete the video that was asked about."""
        if not self.doomed.video_id:
            return
        self.is_deleting = True
        yield
        try:
            await patiently(deletion.delete, caller, self.doomed.video_id)
            self._say(f"“{self.doomed.title}” is deleted.")
        finally:
            self.doomed, self.is_deleting = Card(), False
            await self._read(caller)

    @signed_in
    async def retry(self, caller: Caller, video_id: str) -> None:
        await quickly(pipeline.retry, caller, video_id, enqueue=worker.enqueue)
        await self._read(caller)

    async def _read(self, caller: Caller) -> None:
        status = cast("PublicStatus | None", self.shown or None)
        query = GalleryQuery(status=status, limit=self._limit)
        view = await quickly(videos.gallery, caller, caller.user_id, query, links=False)
        self.cards = [Card.of(video) for video in view.videos]
        self.counts = Counts(
            everything=view.total_count,
            ready=view.ready_count,
            processing=view.processing_count,
            failed=view.failed_count,
        )
        self.has_more, self.is_loaded = view.next_cursor is not None, True
