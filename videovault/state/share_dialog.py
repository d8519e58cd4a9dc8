"""The dialog in which an owner sees a video's share link, limits it, closes it or resets its key."""

from collections.abc import Mapping
from typing import Any

from videovault.errors import InvalidInput
from videovault.services import sharing
from videovault.services.core.access import Caller
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import SessionState, signed_in
from videovault.state.view_models import ShareLink


class ShareDialogState(SessionState):
    """The link contains the video's secret key, so it is kept only while the owner's dialog is open."""

    link: ShareLink = ShareLink()
    is_asking: bool = False
    is_busy: bool = False
    # A new number gives the form new fields with the current values.
    form_number: int = 0

    @signed_in
    async def open(self, caller: Caller, video_id: str) -> None:
        self.notice, self.is_busy = "", False  # may be left over from a server that was stopped
        self._show(ShareLink.of(await run_in_db_pool(sharing.get_link, caller, video_id)))

    @signed_in
    async def close(self) -> None:
        self._show(ShareLink())

    @signed_in
    async def limit(self, caller: Caller, form: dict[str, Any]) -> None:
        """Set how many days and views the link works from now on. This also opens a closed link."""
        days, views = _number(form, "expiresInDays"), _number(form, "mostViews")
        opened = await run_in_db_pool(
            sharing.open_link, caller, self.link.video_id, expires_in_days=days, most_views=views
        )
        self._show(ShareLink.of(opened))
        self._notify("Saved. Views are counted from now on.")

    @signed_in
    async def stop(self, caller: Caller) -> None:
        """Close the link."""
        self._show(ShareLink.of(await run_in_db_pool(sharing.close_link, caller, self.link.video_id)))
        self._notify("Sharing is stopped.")

    @signed_in
    async def ask(self) -> None:
        """Open the confirmation: links that were given out will stop working."""
        self.is_asking = True

    @signed_in
    async def cancel(self) -> None:
        self.is_asking = False

    @signed_in
    async def renew(self, caller: Caller) -> Any:
        """Replace the secret key."""
        if not self.is_asking or self.is_busy:
            return
        self.is_busy = True
        yield
        try:
            await run_in_io_pool(sharing.rotate_key, caller, self.link.video_id)
            self._show(ShareLink.of(await run_in_db_pool(sharing.get_link, caller, self.link.video_id)))
            self._notify("The old links have stopped working. Here is the new one.")
        finally:
            self.is_busy = False

    def _show(self, link: ShareLink) -> None:
        self.link, self.is_asking, self.errors = link, False, {}
        self.form_number += 1


def _number(form: Mapping[str, Any], name: str) -> int | None:
    """Empty for no limit. Raises InvalidInput."""
    typed = str(form.get(name) or "").strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdecimal()) or len(typed) > 9:
        message = "This must be a whole number, or empty for no limit."
        raise InvalidInput(message, {name: message})
    return int(typed)
