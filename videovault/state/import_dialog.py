"""Adding a video from a link: it is stored by the same service as for the API's download call."""

from collections.abc import AsyncIterator
from typing import Any

import reflex as rx

from videovault import worker
from videovault.models import utcnow
from videovault.services.core.access import Caller
from videovault.services.core.views import StoredView
from videovault.services.videos import gallery as videos_gallery
from videovault.state.background import run_in_io_pool
from videovault.state.gallery import GalleryState
from videovault.state.session import SessionState, signed_in

GALLERY = "/gallery"


class ImportDialogState(SessionState):
    is_open: bool = False
    is_busy: bool = False

    @signed_in
    async def open(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        self.is_open, self.errors, self.notice = True, {}, ""
        self.is_busy = False  # whatever a server that died left behind

    @signed_in
    async def close(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.is_open, self.errors = False, {}

    @signed_in(beside="videoUrl")
    async def add(self, caller: Caller, form: dict[str, Any]) -> AsyncIterator[Any]:
        """Have it stored, and show its card; an address that is in work already leads to the card that there is."""
        if self.is_busy:
            return
        self.is_busy, self.errors = True, {}
        yield
        began = utcnow()
        try:
            stored = await run_in_io_pool(
                videos_gallery.store_link,
                caller,
                str(form.get("videoUrl", "")),
                caller.email,
                str(form.get("title", "")),
                enqueue=worker.enqueue,
            )
        finally:
            self.is_busy = False
        self.is_open = False
        self._say(_told(stored, is_new=stored.created_at >= began))
        yield await self._to_its_card()

    async def _to_its_card(self) -> Any:
        """The newest comes first where nothing else is asked for."""
        gallery = await self.get_state(GalleryState)
        return rx.redirect(GALLERY) if gallery.view.strip() else GalleryState.refresh


def _told(stored: StoredView, *, is_new: bool) -> str:
    if is_new:
        return f"“{stored.title}” is being stored. You can leave this page."
    if stored.status == "ready":
        return f"This link was stored before, as “{stored.title}”."
    return f"This link is being stored already, as “{stored.title}”."
