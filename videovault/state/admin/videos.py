"""The admin's table of everybody's videos: finding them, selecting many, and what is done to these."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any, ClassVar, cast

from videovault import worker
from videovault.errors import VideoVaultError
from videovault.services.admin import videos
from videovault.services.admin.videos import SelectedVideoView, VideosQuery, stored_bytes
from videovault.services.core.access import Caller
from videovault.services.core.views import AdminVideoView, PublicStatus
from videovault.services.transfer import pipeline
from videovault.state import tables, wording
from videovault.state.admin.base import AdminState
from videovault.state.admin.view_models import ActionResult, VideoRow
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import signed_in
from videovault.state.tables import SortedTable
from videovault.state.view_models import ViewModel

# What an admin has selected among everybody's videos, on this page of the table and on others.

MOST_NAMED = 3


class Selection(ViewModel):
    """In words what would go: ``3 videos, 412 MB``, which and whose they are; ``failed`` of them can be tried again."""

    count: int = 0
    summary: str = ""
    titles: str = ""
    owners: str = ""
    failed: str = ""

    @classmethod
    def of(cls, picks: Mapping[str, SelectedVideoView]) -> "Selection":
        if not picks:
            return cls()
        size = sum(pick.size for pick in picks.values())
        failed = sum(pick.status == "failed" for pick in picks.values())
        return cls(
            count=len(picks),
            summary=wording.amount(len(picks), size),
            titles=_named([f"“{pick.title}”" for pick in picks.values()]),
            owners=_named(sorted({pick.owner_email for pick in picks.values()})),
            failed=wording.videos(failed) if failed else "",
        )


def picked(found: AdminVideoView) -> SelectedVideoView:
    video = found.video
    return SelectedVideoView(
        video_id=video.video_id,
        title=video.title,
        owner_email=found.owner_email,
        status=video.status,
        size=stored_bytes(video.status, found.size),
    )


def by_id(picks: Iterable[SelectedVideoView]) -> dict[str, SelectedVideoView]:
    return {pick.video_id: pick for pick in picks}


def _named(names: list[str]) -> str:
    """``a@example.com, b@example.com and 4 more``"""
    named = ", ".join(names[:MOST_NAMED])
    left = len(names) - MOST_NAMED
    return named if left <= 0 else f"{named} and {left:,} more"


STATUSES = ("", "ready", "processing", "failed", "draft")
USUAL = "created"
OUTCOMES_SHOWN = 100  # failures stay, what went well makes room


class Owner(ViewModel):
    user_id: str
    email: str


class AdminVideosState(SortedTable, AdminState):
    """``address`` is the query that asks for what is shown."""

    COLUMNS: ClassVar[Collection[str]] = tuple(videos.SORTED_BY)
    DESCENDING_FIRST: ClassVar[Collection[str]] = ("size", "created")

    rows: list[VideoRow] = []
    owners: list[Owner] = []
    total: str = ""
    address: str = ""

    q: str = ""
    status: str = ""
    owner_id: str = ""

    selected: list[str] = []  # on this page of the table
    is_page_selected: bool = False
    all_matching: str = ""  # how many more there are than this page has, in words
    selection: Selection = Selection()
    selection_number: int = 0

    asking: str = ""  # "delete" or "retry"
    asked_about: Selection = Selection()  # as it was when the question was opened
    working_on: str = ""
    percent: int = 0
    so_far: str = ""
    verdict: str = ""
    outcomes: list[ActionResult] = []

    _found: int = 0
    _picks: dict[str, SelectedVideoView] = {}
    _asked_about: dict[str, SelectedVideoView] = {}
    _on_page: dict[str, SelectedVideoView] = {}
    _is_stopped: bool = False
    _done: int = 0

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Raises nothing to others than admins: for them, this page does not exist."""
        if not self._admit(caller):
            return
        self._drop_question()
        if not self.working_on:
            self.outcomes = []
        asked = self.router.url.query_parameters
        before = (self.q, self.owner_id, self.status)
        self.q, self.owner_id, status = (asked.get(name, "") for name in ("q", "owner", "status"))
        self.status = status if status in STATUSES else ""
        if before != (self.q, self.owner_id, self.status):
            self._picks = {}
            self.searches += 1
        self._sort_as(asked, USUAL)
        self._offset = 0
        self.owners = [
            Owner(user_id=owner.user_id, email=owner.email)
            for owner in await run_in_db_pool(videos.list_owners, caller)
        ]
        await self._read(caller)

    @signed_in
    async def search(self, caller: Caller, q: str) -> None:
        self.q = q
        await self._read_anew(caller)

    @signed_in
    async def show(self, caller: Caller, status: str) -> None:
        self.status = status if status in STATUSES else ""
        await self._read_anew(caller)

    @signed_in
    async def show_owner(self, caller: Caller, user_id: str) -> None:
        self.owner_id = user_id
        await self._read_anew(caller)

    @signed_in
    async def select(self, caller: Caller, video_id: str) -> None:  # noqa: ARG002 - every handler asks who calls
        """Select the video, or no longer."""
        if video_id in self._picks:
            self._choose({key: pick for key, pick in self._picks.items() if key != video_id})
        elif video_id in self._on_page:
            self._choose(self._picks | {video_id: self._on_page[video_id]})

    @signed_in
    async def select_page(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        """Select all that this page shows, or no longer."""
        others = {key: pick for key, pick in self._picks.items() if key not in self._on_page}
        self._choose(others if self.is_page_selected else others | self._on_page)
        self.selection_number += 1

    @signed_in
    async def select_matching(self, caller: Caller) -> None:
        """Select all that the filters find, on whatever page."""
        self._choose(by_id(await run_in_db_pool(videos.select_videos, caller, self._query())))
        self.selection_number += 1

    @signed_in
    async def select_none(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self._choose({})
        self.selection_number += 1

    @signed_in
    async def ask(self, caller: Caller, what: str) -> None:  # noqa: ARG002 - as above
        """Ask whether all that is selected is really to be deleted, or what failed of it tried again."""
        can = self.selection.failed if what == "retry" else self.selection.summary
        if can and what in ("delete", "retry") and not self.working_on:
            self.asking, self.asked_about, self._asked_about = what, self.selection, dict(self._picks)
        else:
            self._drop_question()

    @signed_in
    async def cancel(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self._drop_question()

    @signed_in
    async def stop(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        """Begin with no further video; what is done stays done."""
        self._is_stopped = True

    @signed_in
    async def hide(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        """The results have been read."""
        self.outcomes = []

    @signed_in
    async def retry(self, caller: Caller, video_id: str) -> None:
        await run_in_db_pool(pipeline.retry, caller, video_id, enqueue=worker.enqueue)
        await self._read(caller)

    @signed_in(background=True)
    async def carry_out(self, caller: Caller) -> AsyncIterator[None]:
        """Do what was asked about, one video after another, and say what became of each; failures stay selected."""
        async with self:
            what, picks = self.asking, self._begin()
        if not picks:
            return
        try:
            for number, pick in enumerate(picks, start=1):
                caller = await self._caller()  # it may take long, and rights may end meanwhile
                outcome = await run_in_io_pool(_carried_out, what, caller, pick)
                async with self:
                    self._note(outcome, number, len(picks))
                    is_stopped = self._is_stopped
                yield
                if is_stopped:
                    break
        finally:
            async with self:
                told = wording.of_deleted if what == "delete" else wording.of_in_work_again
                self.verdict = told(self._done, len(picks))
                self.working_on = ""
                self.selection_number += 1
        async with self:
            await self._read(caller)

    def _begin(self) -> list[SelectedVideoView]:
        what, asked_about = self.asking, self._asked_about
        self._drop_question()
        if self.working_on or not what:
            return []
        picks = [pick for pick in asked_about.values() if what == "delete" or pick.status == "failed"]
        self.outcomes, self.percent, self._done, self._is_stopped = [], 0, 0, False
        self.so_far = wording.of_many(0, len(picks))
        self.working_on = "Deleting videos" if what == "delete" else "Trying videos again"
        return picks

    def _drop_question(self) -> None:
        self.asking, self.asked_about, self._asked_about = "", Selection(), {}

    def _note(self, outcome: ActionResult, number: int, total: int) -> None:
        bad = [each for each in self.outcomes if not each.is_done]
        good = [each for each in self.outcomes if each.is_done]
        (good if outcome.is_done else bad).insert(0, outcome)
        self.outcomes = [*bad, *good][:OUTCOMES_SHOWN]
        self.percent, self.so_far = number * 100 // total, wording.of_many(number, total)
        if outcome.is_done:
            self._done += 1
            self._choose({key: pick for key, pick in self._picks.items() if key != outcome.video_id})

    async def _read_anew(self, caller: Caller) -> None:
        """Other filters: from the first page on, and with nothing selected that is out of sight."""
        self._offset, self._picks = 0, {}
        self.selection_number += 1
        await self._read(caller)

    async def _read(self, caller: Caller) -> None:
        found = await run_in_db_pool(videos.find_videos, caller, self._query())
        if not found.videos and self._offset:  # the last page has gone
            self._offset = max(0, (found.total_count - 1) // tables.PAGE * tables.PAGE)
            found = await run_in_db_pool(videos.find_videos, caller, self._query())
        self.rows = [VideoRow.of(video) for video in found.videos]
        self._on_page = by_id(picked(video) for video in found.videos)
        self._found = found.total_count
        self.total = wording.amount(found.total_count, found.total_bytes)
        self._turned(len(self.rows), found.total_count)
        self.address = tables.query_string(
            q=self.q, status=self.status, owner=self.owner_id, **self._order(USUAL)
        )
        self._choose(self._picks)

    def _query(self) -> VideosQuery:
        return VideosQuery(
            status=cast("PublicStatus | None", self.status or None),
            owner_id=self.owner_id,
            q=self.q,
            sort=cast("videos.Column", self.sort),
            descending=self.is_descending,
            offset=self._offset,
            limit=tables.PAGE,
        )

    def _choose(self, picks: dict[str, SelectedVideoView]) -> None:
        self._picks = picks
        self.selected = [video_id for video_id in self._on_page if video_id in picks]
        self.is_page_selected = bool(self._on_page) and len(self.selected) == len(self._on_page)
        self.selection = Selection.of(picks)
        reachable = min(self._found, videos.MAX_SELECTED)
        more = self.is_page_selected and len(picks) < reachable
        self.all_matching = wording.videos(reachable) if more else ""


def _carried_out(what: str, caller: Caller, pick: SelectedVideoView) -> ActionResult:
    told: dict[str, Any] = {"video_id": pick.video_id, "title": pick.title}
    try:
        if what == "delete":
            [result] = videos.delete_videos(caller, [pick.video_id])
            failure = result.error.message if result.error else ""
            return ActionResult(is_done=result.deleted, message=failure or result.note or "Deleted", **told)
        pipeline.retry(caller, pick.video_id, enqueue=worker.enqueue)
    except VideoVaultError as error:
        return ActionResult(is_done=False, message=error.public_message, **told)
    return ActionResult(is_done=True, message="In work again", **told)
