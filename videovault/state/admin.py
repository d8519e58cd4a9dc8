"""The admin's table of everybody's videos, and deleting many of them."""

from collections.abc import AsyncIterator, Sequence

from videovault.errors import Forbidden
from videovault.services import administration
from videovault.services.access import Caller
from videovault.services.views import AdminVideoView, DeletionResult
from videovault.state import wording
from videovault.state.calls import patiently, quickly
from videovault.state.session import SessionState, signed_in
from videovault.state.shapes import Card, Shape


class Row(Shape):
    card: Card
    owner: str
    bytes: int

    @classmethod
    def of(cls, found: AdminVideoView) -> "Row":
        return cls(
            card=Card.of(found.video),
            owner=found.owner_email,
            bytes=found.size if found.video.status == "ready" else 0,
        )


class Outcome(Shape):
    """What became of one video that was to be deleted."""

    title: str
    is_deleted: bool
    message: str


class AdminState(SessionState):
    rows: list[Row] = []
    total: str = ""
    access: str = ""  # "yes", "no", or empty while nobody knows

    selected: list[str] = []
    is_everything_selected: bool = False
    selection_number: int = 0
    summary: str = ""
    is_asking: bool = False
    is_deleting: bool = False
    outcomes: list[Outcome] = []

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Raises nothing to others than admins: for them, this page does not exist."""
        self.outcomes = []
        try:
            await self._read(caller)
        except Forbidden:
            self.access, self.rows = "no", []

    @signed_in
    async def select(self, caller: Caller, video_id: str) -> None:  # noqa: ARG002 - every handler asks who calls
        """Select the video, or no longer."""
        chosen = set(self.selected) ^ {video_id}
        self._choose([row for row in self.rows if row.card.video_id in chosen])

    @signed_in
    async def select_all(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self._choose([] if self.is_everything_selected else self.rows)
        self.selection_number += 1

    @signed_in
    async def ask(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.is_asking = bool(self.selected)

    @signed_in
    async def spare(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.is_asking = False

    @signed_in(background=True)
    async def delete(self, caller: Caller) -> AsyncIterator[None]:
        """Delete what is selected, one after another, and say what became of each."""
        async with self:
            if self.is_deleting or not self.selected:
                return
            titles = {row.card.video_id: row.card.title for row in self.rows}
            doomed = list(self.selected)
            self.is_deleting, self.outcomes = True, []
        try:
            for video_id in doomed:
                caller = await self._caller()  # it may take long, and rights may end meanwhile
                results = await patiently(administration.delete_videos, caller, [video_id])
                async with self:
                    self.outcomes = [*self.outcomes, *_outcomes(results, titles)]
                yield
        finally:
            async with self:
                self.is_deleting = self.is_asking = False
        async with self:
            await self._read(caller)

    async def _read(self, caller: Caller) -> None:
        self.rows = [Row.of(found) for found in await quickly(administration.list_videos, caller)]
        self.access = "yes"
        self.total = _summary(self.rows)
        still_there = {row.card.video_id for row in self.rows} & set(self.selected)
        self._choose([row for row in self.rows if row.card.video_id in still_there])

    def _choose(self, rows: Sequence[Row]) -> None:
        self.selected = [row.card.video_id for row in rows]
        self.is_everything_selected = bool(rows) and len(rows) == len(self.rows)
        self.summary = _summary(rows)


def _summary(rows: Sequence[Row]) -> str:
    """``3 videos, 412 MB``; without the size where nothing is stored."""
    size = sum(row.bytes for row in rows)
    return ", ".join(filter(None, (wording.counted(len(rows), "video"), wording.size(size) if size else "")))


def _outcomes(results: Sequence[DeletionResult], titles: dict[str, str]) -> list[Outcome]:
    return [
        Outcome(
            title=titles.get(result.video_id, result.video_id),
            is_deleted=result.deleted,
            message=result.error.message if result.error else "Deleted",
        )
        for result in results
    ]
