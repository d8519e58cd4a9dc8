"""Deleting one or several videos from the gallery, after a confirmation that names them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from videovault.errors import InvalidInput, NotSignedIn, StorageError, VideoNotFound, VideoVaultError
from videovault.services.core.access import Caller
from videovault.services.core.views import VideoView
from videovault.services.videos import deletion, gallery
from videovault.state import wording
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.gallery import GalleryState
from videovault.state.session import SessionState, signed_in
from videovault.state.view_models import Card

MAX_VIDEOS = 1_000


class DeleteDialogState(SessionState):
    """``question`` is empty while the dialog is closed; ``what`` names what would be deleted."""

    question: str = ""
    what: str = ""
    count: int = 0
    progress: str = ""
    is_busy: bool = False

    _to_delete: dict[str, str] = {}

    @signed_in
    async def ask(self, caller: Caller, video_ids: list[str]) -> None:
        """Open the confirmation for these videos."""
        wanted = list(dict.fromkeys(video_ids))
        if len(wanted) > MAX_VIDEOS:
            raise InvalidInput(f"At most {MAX_VIDEOS:,} videos can be deleted at once.")
        found = await run_in_db_pool(_existing, caller, wanted)
        if not found:
            raise VideoNotFound
        self._to_delete = {video.video_id: video.title for video in found}
        self.question, self.what, self.count = _question(found), _summary(found), len(found)

    @signed_in
    async def cancel(self) -> None:
        if not self.is_busy:
            self._close()

    @signed_in(background=True)
    async def delete(self) -> AsyncIterator[Any]:
        """Delete the confirmed videos one by one; errors are shown on their cards."""
        async with self:
            if self.is_busy or not self._to_delete:
                return
            self.is_busy, to_delete = True, dict(self._to_delete)
        errors: dict[str, str] = {}
        versions = ""
        try:
            for number, video_id in enumerate(to_delete, 1):
                async with self:
                    self.progress = wording.of_many(number, len(to_delete)) if len(to_delete) > 1 else ""
                yield
                error, kept = await self._delete_one(video_id)
                errors |= {video_id: error} if error else {}
                versions = kept or versions
        finally:
            async with self:
                self.is_busy = False
                self._close()
        async with self:
            self._report(list(to_delete.values()), len(errors), versions)
        yield GalleryState.show_errors(errors)

    async def _delete_one(self, video_id: str) -> tuple[str, str]:
        """The error, if any, and a note on versions that the bucket keeps."""
        caller = await self._caller()  # the whole may take long, and the session may end meanwhile
        try:
            kept = await run_in_io_pool(deletion.delete, caller, video_id)
        except (
            VideoNotFound,
            StorageError,
        ):  # deleted already; or out of the gallery, and its file is removed later
            return "", ""
        except NotSignedIn:
            raise
        except VideoVaultError as error:
            return error.public_message, ""
        return "", str(kept) if kept else ""

    def _report(self, titles: Sequence[str], failed: int, versions: str) -> None:
        if failed:
            self._notify(wording.not_deleted(failed, len(titles)), is_error=True)
        else:
            self._notify(f"{wording.deleted(titles)} {versions}".strip())

    def _close(self) -> None:
        self._to_delete, self.question, self.what, self.progress = {}, "", "", ""


def _existing(caller: Caller, video_ids: Sequence[str]) -> list[VideoView]:
    """The videos that still exist: others need no deletion."""
    found = []
    for video_id in video_ids:
        try:
            found.append(gallery.get(caller, video_id, links=False))
        except VideoNotFound:
            continue
    return found


def _question(found: Sequence[VideoView]) -> str:
    if len(found) > 1:
        return "Delete these videos?"
    return "Delete this draft?" if found[0].status == "draft" else "Delete this video?"


def _summary(found: Sequence[VideoView]) -> str:
    cards = [Card.of(video) for video in found]
    if len(cards) > 1:
        return wording.videos_and_size(len(cards), sum(card.bytes for card in cards))
    return ", ".join(filter(None, (cards[0].title, cards[0].details)))
