"""The callback inbox: every webhook call of the last 30 days, and applying a report again."""

from typing import Literal, cast

from videovault import worker
from videovault.services import inbox, result_fields
from videovault.services.access import Caller
from videovault.state import wording
from videovault.state.admin import AdminState
from videovault.state.admin_shapes import Call
from videovault.state.calls import patiently, quickly
from videovault.state.listing import Readable
from videovault.state.session import signed_in

PAGE = 20
DIRECTIONS = ("", "in", "out")


class AdminInboxState(Readable, AdminState):
    calls: list[Call] = []
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
        video = await patiently(inbox.replay, caller, delivery_id, enqueue=worker.enqueue)
        self._say(f"The report on “{video.title}” is applied.")
        await self._read(caller)

    @signed_in
    async def choose(self, caller: Caller, delivery_id: str, path: str) -> None:
        """Read the video's address from this field of all answers, and go on with the videos that wait for it."""
        count = await patiently(inbox.choose_field, caller, delivery_id, path, enqueue=worker.enqueue)
        self._say(wording.field_chosen(result_fields.VIDEO, path, count))
        await self._read(caller)

    @signed_in
    async def forget_field(self, caller: Caller) -> None:
        """Find addresses by themselves again."""
        await quickly(inbox.forget_field, caller)
        self._say(wording.FIELD_FORGOTTEN)
        await self._read(caller)

    async def _read(self, caller: Caller, cursor: str = "") -> None:
        direction = cast("Literal['in', 'out'] | None", self.direction or None)
        found = await quickly(inbox.list_deliveries, caller, direction=direction, limit=PAGE, cursor=cursor)
        calls = [Call.of(view) for view in found.deliveries]
        self.calls = [*self.calls, *calls] if cursor else calls
        self._cursor, self.has_more = found.next_cursor or "", found.next_cursor is not None
        self.chosen_field = await quickly(result_fields.chosen, caller)
        self.is_loaded = True
