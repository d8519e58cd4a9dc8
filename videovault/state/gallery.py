"""The gallery: what its address asks for, and actions on single cards."""

from collections.abc import Awaitable, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from statistics import median_low
from typing import Any, cast

from videovault import worker
from videovault.config import settings
from videovault.errors import InvalidInput, VideoVaultError
from videovault.services.core.access import Caller
from videovault.services.core.views import PUBLIC_STATUS, GalleryView, PublicStatus
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery
from videovault.services.videos.gallery import SORT_ORDERS, GalleryQuery, Sort
from videovault.state import wording
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import SessionState, signed_in
from videovault.state.tables import RefreshableList
from videovault.state.view_models import Card, Counts

STATUSES = set(PUBLIC_STATUS.values())
PAGE = 24
# The cards are sent in parts, so that a changed card costs only its own part. The last part takes the rest.
PARTS = tuple(f"part_{number}" for number in range(40))

Parts = Sequence[Sequence[Card]]


class GalleryState(RefreshableList, SessionState):
    """``view`` is the part of the address that the cards show, in the format of assets/js/gallery_view.js.

    The cards are in the vars named by PARTS; ``length`` is their number.
    """

    length: int = 0
    counts: Counts = Counts()
    view: str = "\n\n"
    shown: str = ""
    text: str = ""
    found: str = ""
    has_more: bool = False
    is_broken: bool = False

    playing: Card = Card()
    link_seconds: int = 0

    _sort: Sort = "newest"
    _limit: int = PAGE
    _parts: list[list[Card]] = []
    _results: dict[str, tuple[int, str]] = {}  # by video: number and error of the last action

    @property
    def cards(self) -> list[Card]:
        return list(chain(*self._parts))

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Show what the address asks for; if nothing changed, as many cards as before."""
        if self._apply(self.router.url.query_parameters):
            self._limit, self._parts = PAGE, []
        self.is_broken = True  # unless reading succeeds
        await self._read(caller)
        self.is_broken = False

    @signed_in
    async def more(self, caller: Caller) -> None:
        if self.has_more:
            self._limit = self.length + PAGE
            await self._read(caller)

    @signed_in
    async def play(self, caller: Caller, video_id: str) -> None:
        self.playing = Card.of(await run_in_db_pool(gallery.get, caller, video_id, links=False))
        self.link_seconds = settings().download_url_seconds

    @signed_in
    async def stop(self) -> None:
        self.playing = Card()

    @signed_in
    async def retry(self, caller: Caller, video_id: str) -> None:
        await self._run(video_id, run_in_db_pool(pipeline.retry, caller, video_id, enqueue=worker.enqueue))
        await self._read(caller)

    @signed_in
    async def rename(self, caller: Caller, video_id: str, title: str) -> None:
        await self._run(video_id, run_in_io_pool(gallery.rename, caller, video_id, title))
        await self._read(caller)

    @signed_in
    async def show_errors(self, caller: Caller, errors: dict[str, str]) -> None:
        """Show the errors of an action on several videos on their cards."""
        for video_id, error in errors.items():
            self._set_result(video_id, error)
        await self._read(caller)

    def _set_result(self, video_id: str, error: str) -> None:
        """``error`` is empty on success. Only for cards that are shown: a browser can send any id."""
        if all(card.video_id != video_id for card in self.cards):
            return
        number, _ = self._results.get(video_id, (0, ""))
        self._results = {**self._results, video_id: (number + 1, error)}

    async def _run(self, video_id: str, action: Awaitable[Any]) -> None:
        """Errors are shown on the card."""
        try:
            await action
        except InvalidInput as error:
            self._set_result(video_id, next(iter(error.fields.values()), error.public_message))
        except VideoVaultError as error:
            self._set_result(video_id, error.public_message)
        else:
            self._set_result(video_id, "")

    def _apply(self, address: Mapping[str, str]) -> bool:
        """Apply the address, ignoring invalid values. Returns whether it asks for something new."""
        status, sort, text = (address.get(name, "") for name in ("status", "sort", "q"))
        before, self.view = self.view, f"{status}\n{sort}\n{text}"
        self.shown = status if status in STATUSES else ""
        self.text = text
        self._sort = cast("Sort", sort) if sort in SORT_ORDERS else "newest"
        return before != self.view

    async def _read(self, caller: Caller) -> None:
        status = cast("PublicStatus | None", self.shown or None)
        query = GalleryQuery(status=status, q=self.text, sort=self._sort, limit=self._limit)
        self._show(await run_in_db_pool(gallery.list_videos, caller, caller.user_id, query, links=False))

    def _show(self, view: GalleryView) -> None:
        """Update only what has changed, so that nothing else is sent."""
        cards = [self._with_result(Card.of(video)) for video in view.videos]
        playing = next((card for card in cards if card.video_id == self.playing.video_id), None)
        if playing and playing.is_copied and not self.playing.is_copied:
            self.playing = playing
        self._parts, self.length = split_into_parts(cards, self._parts), len(cards)
        for number, name in enumerate(PARTS):
            part = self._parts[number] if number < len(self._parts) else []
            if part != getattr(self, name):
                setattr(self, name, part)
        counts = Counts(
            everything=view.total_count,
            ready=view.ready_count,
            processing=view.processing_count,
            failed=view.failed_count,
            drafts=view.draft_count,
        )
        if counts != self.counts:
            self.counts = counts
        self.has_more, self.is_loaded = view.next_cursor is not None, True
        self.found = wording.found(len(cards), is_all=not self.has_more) if self.text else ""

    def _with_result(self, card: Card) -> Card:
        number, error = self._results.get(card.video_id, (0, ""))
        return card.model_copy(update={"result_number": number, "result": error}) if number else card


for _name in PARTS:
    GalleryState.add_var(_name, list[Card], [])


def split_into_parts(cards: Sequence[Card], before: Parts) -> list[list[Card]]:
    """Split the cards at the same cards as ``before``, and new ones at the end into pages."""
    place = {card.video_id: number for number, card in enumerate(cards)}
    kept = [[place[card.video_id] for card in part if card.video_id in place] for part in before]
    known = max(chain(*kept), default=-1) + 1
    cuts = [0, *accumulate(_starts(kept, known)[1:], max)]
    cuts += range(max(known, cuts[-1] + PAGE), len(cards), PAGE)
    return [list(cards[start:end]) for start, end in pairwise([*cuts[: len(PARTS)], len(cards)])]


def _starts(kept: Sequence[Sequence[int]], end: int) -> list[int]:
    """Where each part starts now; an empty one where the next one starts."""
    middles = [-1]
    for places in kept:
        middles.append(median_low(places) if places else middles[-1])
    starts = [end]
    for places, middle in reversed(list(zip(kept, middles[:-1], strict=True))):
        # A card that moved up must not pull the others along.
        in_order = [number for number in places if number > middle]
        starts.append(min(in_order, default=starts[-1]))
    return starts[:0:-1]
