"""The callback inbox: every webhook call of the last 30 days, and applying a report again."""

from typing import Any, Literal, cast

from videovault import worker
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.generation import result_field, webhook_log
from videovault.services.videos import gallery
from videovault.state import wording
from videovault.state.admin.base import AdminState
from videovault.state.admin.videos import AdminVideosState
from videovault.state.admin.view_models import WebhookCall
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import signed_in
from videovault.state.tables import RefreshableList
from videovault.state.view_models import Card

PAGE = 20
DIRECTIONS = ("", "in", "out")


class AdminWebhookLogState(RefreshableList, AdminState):
    calls: list[WebhookCall] = []
    direction: str = ""
    has_more: bool = False
    chosen_field: str = ""  # that an admin has chosen, in the words of VIDEO_RESULT_FIELD

    _cursor: str = ""

    @signed_in
    async def load(self, caller: Caller) -> None:
        if self._admit(caller):
            await self._read(caller)

    @signed_in
    async def show(self, caller: Caller, direction: str) -> None:
        """Those that came in or went out only, all for an empty one."""
        self.direction = direction if direction in DIRECTIONS else ""
        await self._read(caller)

    @signed_in
    async def more(self, caller: Caller) -> None:
        await self._read(caller, self._cursor)

    @signed_in
    async def replay(self, caller: Caller, delivery_id: str) -> None:
        """Apply the report again."""
        video = await run_in_io_pool(rescue.replay, caller, delivery_id, enqueue=worker.enqueue)
        self._say(f"The report on “{video.title}” is applied.")
        await self._read(caller)

    @signed_in
    async def choose(self, caller: Caller, delivery_id: str, path: str) -> None:
        """Read the video's address from this field of all answers, and go on with the videos that wait for it."""
        count = await run_in_io_pool(
            rescue.choose_result_field, caller, delivery_id, path, enqueue=worker.enqueue
        )
        self._say(wording.field_chosen(result_field.VIDEO_RESULT_FIELD, path, count))
        await self._read(caller)

    @signed_in
    async def forget_field(self, caller: Caller) -> None:
        """Find addresses by themselves again."""
        await run_in_db_pool(rescue.reset_result_field, caller)
        self._say(wording.FIELD_FORGOTTEN)
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


# The dialog in which an admin gives a stuck video the address of its finished file.


class AdminAttachFileState(AdminState):
    stuck: Card = Card()
    is_busy: bool = False

    @signed_in
    async def open(self, caller: Caller, video_id: str) -> None:
        self.errors, self.is_busy = {}, False  # whatever a server that died left behind
        self.stuck = Card.of(await run_in_db_pool(gallery.get, caller, video_id, links=False))

    @signed_in
    async def close(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        self.stuck, self.errors = Card(), {}

    @signed_in(beside="videoUrl")
    async def give(self, caller: Caller, form: dict[str, Any]) -> Any:
        """Hand the address over; storing begins."""
        if self.is_busy or not self.stuck.video_id:
            return
        self.is_busy, self.errors = True, {}
        yield
        try:
            url = str(form.get("videoUrl", ""))
            await run_in_io_pool(
                rescue.set_video_url, caller, self.stuck.video_id, url, enqueue=worker.enqueue
            )
        finally:
            self.is_busy = False
        self._say(f"“{self.stuck.title}” is being stored.")
        self.stuck = Card()
        yield [AdminVideosState.refresh, AdminWebhookLogState.refresh]
