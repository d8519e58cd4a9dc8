"""Deleting videos from the gallery, one or several: what exactly goes is asked first, what stayed says why."""

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

MOST = 1_000


class DeleteDialogState(SessionState):
    """``question`` is empty while nothing is asked; ``what`` names what would go, ``progress`` how far it is."""

    question: str = ""
    what: str = ""
    progress: str = ""
    is_busy: bool = False

    _doomed: dict[str, str] = {}

    @signed_in
    async def ask(self, caller: Caller, video_ids: list[str]) -> None:
        """Ask whether these videos are really to be deleted."""
        wanted = list(dict.fromkeys(video_ids))
        if len(wanted) > MOST:
            raise InvalidInput(f"At most {MOST:,} videos can be deleted at once.")
        found = await run_in_db_pool(_present, caller, wanted)
        if not found:
            raise VideoNotFound
        self._doomed = {video.video_id: video.title for video in found}
        self.question, self.what = _question(found), _named(found)

    @signed_in
    async def cancel(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        if not self.is_busy:
            self._forget()

    @signed_in(background=True)
    async def delete(self, caller: Caller) -> AsyncIterator[Any]:  # noqa: ARG002 - asked anew for each video
        """Delete what was asked about, one after another; what cannot be deleted says why on its card."""
        async with self:
            if self.is_busy or not self._doomed:
                return
            self.is_busy, doomed = True, dict(self._doomed)
        said: dict[str, str] = {}
        kept = ""
        try:
            for number, video_id in enumerate(doomed, 1):
                async with self:
                    self.progress = wording.of_many(number, len(doomed)) if len(doomed) > 1 else ""
                yield
                failed, stays = await self._without(video_id)
                said |= failed
                kept = stays or kept
        finally:
            async with self:
                self.is_busy = False
                self._forget()
        async with self:
            self._report(list(doomed.values()), len(said), kept)
        yield GalleryState.note(said)

    async def _without(self, video_id: str) -> tuple[dict[str, str], str]:
        """Delete it; why it is still there, if it is, and what a versioned bucket does not let go of."""
        caller = await self._caller()  # it may take long, and rights may end meanwhile
        try:
            kept = await run_in_io_pool(deletion.delete, caller, video_id)
        except (VideoNotFound, StorageError):  # gone already; out of the gallery, its file goes later
            return {}, ""
        except NotSignedIn:
            raise
        except VideoVaultError as error:
            return {video_id: error.public_message}, ""
        return {}, str(kept) if kept else ""

    def _report(self, titles: Sequence[str], kept: int, versions: str) -> None:
        if kept:
            self._say(wording.not_deleted(kept, len(titles)), bad=True)
        else:
            self._say(f"{wording.deleted(titles)} {versions}".strip())

    def _forget(self) -> None:
        self._doomed, self.question, self.what, self.progress = {}, "", "", ""


def _present(caller: Caller, video_ids: Sequence[str]) -> list[VideoView]:
    """Those that are still there; one that somebody else deleted meanwhile needs no deleting."""
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


def _named(found: Sequence[VideoView]) -> str:
    cards = [Card.of(video) for video in found]
    if len(cards) > 1:
        return wording.amount(len(cards), sum(card.bytes for card in cards))
    return ", ".join(filter(None, (cards[0].title, cards[0].details)))
