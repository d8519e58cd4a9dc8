"""The admin's table of all videos: filters, selection, and actions on many videos."""

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
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import AdminState, signed_in
from videovault.state.tables import SortedTable
from videovault.state.view_models import Card, ViewModel

STATUSES = ("", "ready", "processing", "failed", "draft")
DEFAULT_SORT = "created"
MAX_RESULTS = 100  # failures come first and are kept
MAX_NAMED = 3  # of the selected videos and of their owners


class Selection(ViewModel):
    """The selected videos on all pages as text; ``summary`` such as ``3 videos, 412 MB``, ``failed`` can be retried."""

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
            summary=wording.videos_and_size(len(picks), size),
            titles=_list_names([f"“{pick.title}”" for pick in picks.values()]),
            owners=_list_names(sorted({pick.owner_email for pick in picks.values()})),
            failed=wording.videos(failed) if failed else "",
        )


class Owner(ViewModel):
    user_id: str
    email: str


class VideoRow(ViewModel):
    """A video in the table; ``is_stuck`` if a file can be attached to it."""

    card: Card
    owner: str
    has_poster: bool
    is_stuck: bool

    @classmethod
    def of(cls, found: AdminVideoView) -> "VideoRow":
        video = found.video
        waits = video.progress is not None and video.progress.stage == "generating"
        return cls(
            card=Card.of(video),
            owner=found.owner_email,
            has_poster=video.status == "ready" and found.has_poster,
            is_stuck=waits or video.status == "failed",
        )


class ActionResult(ViewModel):
    """The result of an action for one of several videos."""

    video_id: str
    title: str
    is_done: bool
    message: str


class AdminVideosState(SortedTable, AdminState):
    """``address`` is the query of what is shown."""

    COLUMNS: ClassVar[Collection[str]] = tuple(videos.SORTED_BY)
    DESCENDING_FIRST: ClassVar[Collection[str]] = ("size", "created")

    rows: list[VideoRow] = []
    owners: list[Owner] = []
    total: str = ""
    address: str = ""

    status: str = ""
    owner_id: str = ""

    selected: list[str] = []  # on this page of the table
    is_page_selected: bool = False
    all_matching: str = ""  # the number of matching videos, if there are more than on this page
    selection: Selection = Selection()
    selection_number: int = 0

    confirming: str = ""  # "delete" or "retry"
    confirmed_selection: Selection = Selection()  # as it was when the confirmation was opened
    activity: str = ""
    percent: int = 0
    amount_done: str = ""
    verdict: str = ""
    results: list[ActionResult] = []

    _found: int = 0
    _picks: dict[str, SelectedVideoView] = {}
    _picks_to_confirm: dict[str, SelectedVideoView] = {}
    _on_page: dict[str, SelectedVideoView] = {}
    _is_stopped: bool = False
    _done: int = 0

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Raises nothing for other users: for them, this page does not exist."""
        if not self._admit(caller):
            return
        self._close_confirmation()
        if not self.activity:
            self.results = []
        query = self.router.url.query_parameters
        before = (self.q, self.owner_id, self.status)
        self.q, self.owner_id, status = (query.get(name, "") for name in ("q", "owner", "status"))
        self.status = status if status in STATUSES else ""
        if before != (self.q, self.owner_id, self.status):
            self._picks = {}
            self.filters_number += 1
        self._sort_from(query, DEFAULT_SORT)
        self._cursors = []
        self.owners = [
            Owner(user_id=owner.user_id, email=owner.email)
            for owner in await run_in_db_pool(videos.list_owners, caller)
        ]
        await self._read(caller)

    @signed_in
    async def show(self, caller: Caller, status: str) -> None:
        self.status = status if status in STATUSES else ""
        await self._read_first_page(caller)

    @signed_in
    async def show_owner(self, caller: Caller, user_id: str) -> None:
        self.owner_id = user_id
        await self._read_first_page(caller)

    @signed_in
    async def select(self, video_id: str) -> None:
        """Select or deselect the video."""
        if video_id in self._picks:
            self._select({key: pick for key, pick in self._picks.items() if key != video_id})
        elif video_id in self._on_page:
            self._select(self._picks | {video_id: self._on_page[video_id]})

    @signed_in
    async def select_page(self) -> None:
        """Select or deselect all videos on this page."""
        others = {key: pick for key, pick in self._picks.items() if key not in self._on_page}
        self._select(others if self.is_page_selected else others | self._on_page)
        self.selection_number += 1

    @signed_in
    async def select_matching(self, caller: Caller) -> None:
        """Select all videos that match the filters."""
        self._select(by_id(await run_in_db_pool(videos.select_videos, caller, self._query())))
        self.selection_number += 1

    @signed_in
    async def select_none(self) -> None:
        self._select({})
        self.selection_number += 1

    @signed_in
    async def ask(self, what: str) -> None:
        """Open the confirmation to delete the selected videos, or to retry the failed ones."""
        affected = self.selection.failed if what == "retry" else self.selection.summary
        if affected and what in ("delete", "retry") and not self.activity:
            self.confirming, self.confirmed_selection, self._picks_to_confirm = (
                what,
                self.selection,
                dict(self._picks),
            )
        else:
            self._close_confirmation()

    @signed_in
    async def cancel(self) -> None:
        self._close_confirmation()

    @signed_in
    async def stop(self) -> None:
        """Stop after the current video."""
        self._is_stopped = True

    @signed_in
    async def hide_results(self) -> None:
        self.results = []

    @signed_in
    async def retry(self, caller: Caller, video_id: str) -> None:
        await run_in_db_pool(pipeline.retry, caller, video_id, enqueue=worker.enqueue)
        await self._read(caller)

    @signed_in(background=True)
    async def carry_out(self, caller: Caller) -> AsyncIterator[None]:
        """Carry out the confirmed action video by video, and report each result; failures stay selected."""
        async with self:
            what, picks = self.confirming, self._begin()
        if not picks:
            return
        try:
            for number, pick in enumerate(picks, start=1):
                caller = await self._caller()  # it may take long, and the admin role may end meanwhile
                result = await run_in_io_pool(_carry_out, what, caller, pick)
                async with self:
                    self._add_result(result, number, len(picks))
                    is_stopped = self._is_stopped
                yield
                if is_stopped:
                    break
        finally:
            async with self:
                self.verdict = wording.carried_out(what, self._done, len(picks))
                self.activity = ""
                self.selection_number += 1
        async with self:
            await self._read(caller)

    def _begin(self) -> list[SelectedVideoView]:
        what, asked_about = self.confirming, self._picks_to_confirm
        self._close_confirmation()
        if self.activity or not what:
            return []
        picks = [pick for pick in asked_about.values() if what == "delete" or pick.status == "failed"]
        self.results, self.percent, self._done, self._is_stopped = [], 0, 0, False
        self.amount_done = wording.of_many(0, len(picks))
        self.activity = "Deleting videos" if what == "delete" else "Retrying videos"
        return picks

    def _close_confirmation(self) -> None:
        self.confirming, self.confirmed_selection, self._picks_to_confirm = "", Selection(), {}

    def _add_result(self, result: ActionResult, number: int, total: int) -> None:
        bad = [each for each in self.results if not each.is_done]
        good = [each for each in self.results if each.is_done]
        (good if result.is_done else bad).insert(0, result)
        self.results = [*bad, *good][:MAX_RESULTS]
        self.percent, self.amount_done = number * 100 // total, wording.of_many(number, total)
        if result.is_done:
            self._done += 1
            self._select({key: pick for key, pick in self._picks.items() if key != result.video_id})

    async def _read_first_page(self, caller: Caller) -> None:
        """After a change of filters: select nothing that is out of sight."""
        self._cursors, self._picks = [], {}
        self.selection_number += 1
        await self._read(caller)

    async def _read(self, caller: Caller) -> None:
        found = await run_in_db_pool(videos.find_videos, caller, self._query())
        while not found.videos and self._cursors:  # the last page no longer exists
            self._cursors = self._cursors[:-1]
            found = await run_in_db_pool(videos.find_videos, caller, self._query())
        self.rows = [VideoRow.of(video) for video in found.videos]
        self._on_page = by_id(picked(video) for video in found.videos)
        self._found = found.total_count
        total = wording.at_least(found.total_count, has_more=found.has_more_matches)
        self.total = wording.videos_and_size(found.total_count, found.total_bytes)
        if found.has_more_matches:
            self.total = f"{total} videos"
        self._show_page(len(self.rows), total, found.next_cursor)
        self.address = tables.query_string(
            q=self.q, status=self.status, owner=self.owner_id, **self._sort_query(DEFAULT_SORT)
        )
        self._select(self._picks)

    def _query(self) -> VideosQuery:
        return VideosQuery(
            status=cast("PublicStatus | None", self.status or None),
            owner_id=self.owner_id,
            q=self.q,
            sort=cast("videos.Column", self.sort),
            descending=self.is_descending,
            cursor=self._cursor,
            limit=tables.PAGE,
        )

    def _select(self, picks: dict[str, SelectedVideoView]) -> None:
        self._picks = picks
        self.selected = [video_id for video_id in self._on_page if video_id in picks]
        self.is_page_selected = bool(self._on_page) and len(self.selected) == len(self._on_page)
        self.selection = Selection.of(picks)
        reachable = min(self._found, videos.MAX_SELECTED)
        more = self.is_page_selected and len(picks) < reachable
        self.all_matching = wording.videos(reachable) if more else ""


def _carry_out(what: str, caller: Caller, pick: SelectedVideoView) -> ActionResult:
    video: dict[str, Any] = {"video_id": pick.video_id, "title": pick.title}
    try:
        if what == "delete":
            [result] = videos.delete_videos(caller, [pick.video_id])
            failure = result.error.message if result.error else ""
            return ActionResult(is_done=result.deleted, message=failure or result.note or "Deleted", **video)
        pipeline.retry(caller, pick.video_id, enqueue=worker.enqueue)
    except VideoVaultError as error:
        return ActionResult(is_done=False, message=error.public_message, **video)
    return ActionResult(is_done=True, message="Queued", **video)


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


def _list_names(names: list[str]) -> str:
    """``a@example.com, b@example.com and 4 more``"""
    listed = ", ".join(names[:MAX_NAMED])
    left = len(names) - MAX_NAMED
    return listed if left <= 0 else f"{listed} and {left:,} more"
