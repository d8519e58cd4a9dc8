"""Importing a video from a link, by the same service as the API's download call."""

from collections.abc import AsyncIterator
from typing import Any

import reflex as rx

from videovault import worker
from videovault.clock import utcnow
from videovault.services.core.access import Caller
from videovault.services.core.views import StoredView
from videovault.services.videos import gallery
from videovault.state.background import run_in_io_pool
from videovault.state.gallery import GalleryState
from videovault.state.session import SessionState, signed_in

GALLERY = "/gallery"


class ImportDialogState(SessionState):
    is_open: bool = False
    is_busy: bool = False

    @signed_in
    async def open(self) -> None:
        self.is_open, self.errors, self.notice = True, {}, ""
        self.is_busy = False  # may be left over from a server that was stopped

    @signed_in
    async def close(self) -> None:
        self.is_open, self.errors = False, {}

    @signed_in(beside="videoUrl")
    async def add(self, caller: Caller, form: dict[str, Any]) -> AsyncIterator[Any]:
        """Store the video and show its card; a link that is being stored already leads to the existing card."""
        if self.is_busy:
            return
        self.is_busy, self.errors = True, {}
        yield
        started = utcnow()
        try:
            stored = await run_in_io_pool(
                gallery.store_link,
                caller,
                str(form.get("videoUrl", "")),
                caller.email,
                str(form.get("title", "")),
                enqueue=worker.enqueue,
            )
        finally:
            self.is_busy = False
        self.is_open = False
        self._notify(_message(stored, is_new=stored.created_at >= started))
        yield await self._show_card()

    async def _show_card(self) -> Any:
        """The new card comes first in an unfiltered gallery."""
        shown = await self.get_state(GalleryState)
        return rx.redirect(GALLERY) if shown.view.strip() else GalleryState.refresh


def _message(stored: StoredView, *, is_new: bool) -> str:
    if is_new:
        return f"“{stored.title}” is being stored. You can leave this page."
    if stored.status == "ready":
        return f"This link was stored before, as “{stored.title}”."
    return f"This link is being stored already, as “{stored.title}”."
