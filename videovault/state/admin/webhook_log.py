"""The webhook log: all webhook calls of the last 30 days, and applying a report again."""

from typing import Any, Literal, cast

from videovault import worker
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.core.views import iso_utc
from videovault.services.generation import result_field, webhook_log
from videovault.services.generation.webhook_log import WebhookCallView
from videovault.services.videos import gallery
from videovault.state import wording
from videovault.state.admin.videos import AdminVideosState
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import AdminState, signed_in
from videovault.state.tables import RefreshableList
from videovault.state.view_models import Card, ViewModel

PAGE = 20
DIRECTIONS = ("", "in", "out")


class FieldChoice(ViewModel):
    """An address in an answer that was not understood."""

    path: str
    address: str


class WebhookCall(ViewModel):
    """A webhook call; ``headers`` has one line for each."""

    delivery_id: str
    at: str
    title: str
    video_id: str
    video: str
    address: str
    verdict: str
    is_bad: bool
    why: str
    headers: str
    body: str
    answer: str
    can_be_replayed: bool
    choices: list[FieldChoice] = []

    @classmethod
    def of(cls, view: WebhookCallView) -> "WebhookCall":
        return cls(
            delivery_id=view.id,
            at=iso_utc(view.at),
            title=wording.UNPROVEN if view.address else wording.CALLS[view.direction, view.kind],
            video_id=view.video_id or "",
            video=view.title,
            address=view.address,
            verdict=wording.VERDICTS.get(view.verdict, view.verdict),
            is_bad=view.verdict in ("refused", "unread"),
            why=view.why,
            headers="\n".join(f"{name}: {value}" for name, value in view.headers.items()),
            body=view.body,
            answer=view.answer,
            can_be_replayed=view.can_be_replayed,
            choices=[FieldChoice(path=field.path, address=field.address) for field in view.fields],
        )


class AdminWebhookLogState(RefreshableList, AdminState):
    calls: list[WebhookCall] = []
    direction: str = ""
    has_more: bool = False
    chosen_field: str = ""  # by an admin, in the syntax of VIDEO_RESULT_FIELD

    _cursor: str = ""

    @signed_in
    async def load(self, caller: Caller) -> None:
        if self._admit(caller):
            await self._read(caller)

    @signed_in
    async def show(self, caller: Caller, direction: str) -> None:
        """Show incoming or outgoing calls only, or all."""
        self.direction = direction if direction in DIRECTIONS else ""
        await self._read(caller)

    @signed_in
    async def more(self, caller: Caller) -> None:
        await self._read(caller, self._cursor)

    @signed_in
    async def replay(self, caller: Caller, delivery_id: str) -> None:
        """Apply the report again."""
        video = await run_in_io_pool(rescue.replay, caller, delivery_id, enqueue=worker.enqueue)
        self._notify(f"The report on “{video.title}” is applied.")
        await self._read(caller)

    @signed_in
    async def choose(self, caller: Caller, delivery_id: str, path: str) -> None:
        """Read the video's address from this field of all answers, and continue the videos that wait for it."""
        count = await run_in_io_pool(
            rescue.choose_result_field, caller, delivery_id, path, enqueue=worker.enqueue
        )
        self._notify(wording.field_chosen(result_field.VIDEO_RESULT_FIELD, path, count))
        await self._read(caller)

    @signed_in
    async def reset_field(self, caller: Caller) -> None:
        """Search the whole answer for the address again."""
        await run_in_db_pool(rescue.reset_result_field, caller)
        self._notify(wording.FIELD_RESET)
        await self._read(caller)

    async def _read(self, caller: Caller, cursor: str = "") -> None:
        direction = cast("Literal['in', 'out'] | None", self.direction or None)
        found = await run_in_db_pool(
            webhook_log.list_calls, caller, direction=direction, limit=PAGE, cursor=cursor
        )
        calls = [WebhookCall.of(view) for view in found.deliveries]
        self.calls = [*self.calls, *calls] if cursor else calls
        self._cursor, self.has_more = found.next_cursor or "", found.next_cursor is not None
        self.chosen_field = await run_in_db_pool(result_field.chosen_result_field, caller)
        self.is_loaded = True


class AdminAttachFileState(AdminState):
    """The dialog that gives a stuck video the URL of its finished file."""

    video: Card = Card()
    is_busy: bool = False

    @signed_in
    async def open(self, caller: Caller, video_id: str) -> None:
        self.errors, self.is_busy = {}, False  # may be left over from a server that was stopped
        self.video = Card.of(await run_in_db_pool(gallery.get, caller, video_id, links=False))

    @signed_in
    async def close(self) -> None:
        self.video, self.errors = Card(), {}

    @signed_in(beside="videoUrl")
    async def attach(self, caller: Caller, form: dict[str, Any]) -> Any:
        """Store the file from this URL."""
        if self.is_busy or not self.video.video_id:
            return
        self.is_busy, self.errors = True, {}
        yield
        try:
            url = str(form.get("videoUrl", ""))
            await run_in_io_pool(
                rescue.set_video_url, caller, self.video.video_id, url, enqueue=worker.enqueue
            )
        finally:
            self.is_busy = False
        self._notify(f"“{self.video.title}” is being stored.")
        self.video = Card()
        yield [AdminVideosState.refresh, AdminWebhookLogState.refresh]
