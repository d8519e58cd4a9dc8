"""A person's gallery: what its address asks for, and what is done to one video from its card."""

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
from videovault.state.view_models import Card, Counts

# A gallery in parts that are sent one by one: a card that changes, comes or goes costs its own part only.

PAGE = 24
# The last one takes whatever the others have no room for.
PARTS = tuple(f"part_{number}" for number in range(40))

Parts = Sequence[Sequence[Card]]


def parted(cards: Sequence[Card], before: Parts) -> list[list[Card]]:
    """The cards cut where they were cut ``before``, what follows into pages."""
    place = {card.video_id: number for number, card in enumerate(cards)}
    kept = [[place[card.video_id] for card in part if card.video_id in place] for part in before]
    known = max(chain(*kept), default=-1) + 1
    cuts = [0, *accumulate(_starts(kept, known)[1:], max)]
    cuts += range(max(known, cuts[-1] + PAGE), len(cards), PAGE)
    return [list(cards[start:end]) for start, end in pairwise([*cuts[: len(PARTS)], len(cards)])]


def _starts(kept: Sequence[Sequence[int]], end: int) -> list[int]:
    """Where each part begins by now; one of which nothing is left, where the next one does."""
    middles = [-1]
    for places in kept:
        middles.append(median_low(places) if places else middles[-1])
    starts = [end]
    for places, middle in reversed(list(zip(kept, middles[:-1], strict=True))):
        # One that has moved up must not take all others along.
        in_order = [number for number in places if number > middle]
        starts.append(min(in_order, default=starts[-1]))
    return starts[:0:-1]


STATUSES = set(PUBLIC_STATUS.values())


class GalleryState(SessionState):
    """``view`` is the part of the address that the cards answer, as assets/js/view.js writes it.

    The cards are in the vars that PARTS names, ``length`` is how many there are.
    """

    length: int = 0
    counts: Counts = Counts()
    view: str = "\n\n"
    shown: str = ""
    text: str = ""
    found: str = ""
    has_more: bool = False
    is_loaded: bool = False
    is_broken: bool = False

    playing: Card = Card()
    link_seconds: int = 0

    _sort: Sort = "newest"
    _limit: int = PAGE
    _parts: list[list[Card]] = []
    _answers: dict[str, tuple[int, str]] = {}

    @property
    def cards(self) -> list[Card]:
        return list(chain(*self._parts))

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Show what the address asks for; if it is what was shown before, as much of it as before."""
        if self._turn_to(self.router.url.query_parameters):
            self._limit, self._parts = PAGE, []
        self.is_broken = True  # unless what follows succeeds
        await self._read(caller)
        self.is_broken = False

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """Read again what a page that shows the gallery has read before."""
        if self.is_loaded:
            await self._read(caller)

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
    async def stop(self, caller: Caller) -> None:  # noqa: ARG002 - every handler of a signed-in page asks who calls
        self.playing = Card()

    @signed_in
    async def retry(self, caller: Caller, video_id: str) -> None:
        await self._answer(video_id, run_in_db_pool(pipeline.retry, caller, video_id, enqueue=worker.enqueue))
        await self._read(caller)

    @signed_in
    async def rename(self, caller: Caller, video_id: str, title: str) -> None:
        await self._answer(video_id, run_in_io_pool(gallery.rename, caller, video_id, title))
        await self._read(caller)

    @signed_in
    async def note(self, caller: Caller, remarks: dict[str, str]) -> None:
        """Say on these videos' cards what became of what was asked of several."""
        for video_id, remark in remarks.items():
            self._remark(video_id, remark)
        await self._read(caller)

    def _remark(self, video_id: str, remark: str) -> None:
        """Empty for that all is well; kept for cards that are shown, whatever ids a browser names."""
        if all(card.video_id != video_id for card in self.cards):
            return
        number, _ = self._answers.get(video_id, (0, ""))
        self._answers = {**self._answers, video_id: (number + 1, remark)}

    async def _answer(self, video_id: str, doing: Awaitable[Any]) -> None:
        """What goes wrong is said on the card that it was asked on."""
        try:
            await doing
        except InvalidInput as error:
            self._remark(video_id, next(iter(error.fields.values()), error.public_message))
        except VideoVaultError as error:
            self._remark(video_id, error.public_message)
        else:
            self._remark(video_id, "")

    def _turn_to(self, address: Mapping[str, str]) -> bool:
        """Whether it asks for something else than what is shown; what it cannot ask for is ignored."""
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
        """What has not changed is not sent again."""
        cards = [self._with_answer(Card.of(video)) for video in view.videos]
        playing = next((card for card in cards if card.video_id == self.playing.video_id), None)
        if playing and playing.is_copied and not self.playing.is_copied:
            self.playing = playing
        self._parts, self.length = parted(cards, self._parts), len(cards)
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

    def _with_answer(self, card: Card) -> Card:
        answers, remark = self._answers.get(card.video_id, (0, ""))
        return card.model_copy(update={"answers": answers, "remark": remark}) if answers else card


for _name in PARTS:
    GalleryState.add_var(_name, list[Card], [])
