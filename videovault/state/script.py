"""The script in the modal: kept as it is typed, and each part written anew if the person likes."""

from collections.abc import Mapping
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from videovault.config import settings
from videovault.errors import InvalidInput, WebhookError
from videovault.services import scripts
from videovault.services.access import Caller
from videovault.services.scripts import PARTS
from videovault.services.views import ScriptView
from videovault.state import wording
from videovault.state.briefing import BriefState
from videovault.state.calls import patiently, quickly
from videovault.state.keeping import place
from videovault.state.session import signed_in


def kept_as(video_id: Any) -> str:
    return f"script/{video_id}"


class ScriptState(BriefState):
    script_id: str = ""  # of the video whose script may be changed
    parts: dict[str, str] = dict.fromkeys(PARTS, "")
    # A new number gives a part a new field, with the text that came from the server.
    part_numbers: dict[str, int] = dict.fromkeys(PARTS, 0)
    ways_back: dict[str, str] = {}  # by part: to what was there before it was written anew, and forth again
    said_of_parts: str = ""
    can_rewrite: bool = False

    _before: dict[str, str] = {}

    @signed_in
    async def keep(self, caller: Caller, form: dict[str, Any]) -> EventSpec | None:
        """Keep what is typed into the script; nothing is lost by closing."""
        if not self.script_id:
            return None
        self.parts = typed_parts(form)
        return await self._save(caller, self.parts)

    @signed_in
    async def restore(self, caller: Caller, form: dict[str, Any]) -> EventSpec | None:
        """Take over what the browser kept because it did not get here: the session had ended, or the line was down."""
        if not self.script_id:
            return None
        typed = typed_parts(form)
        for part in PARTS:
            if typed[part] != self.parts[part]:
                self._put(part, typed[part])
        return await self._save(caller, typed)

    @signed_in(background=True, beside="script")
    async def rewrite(self, caller: Caller, part: str) -> EventSpec | None:
        """Have one part written anew and keep the others; asked again meanwhile, leave it as it is."""
        async with self:
            if self.waiting_for or part not in PARTS or not self.script_id:
                self._end_waiting()
                return None
            script_id, wait = self.script_id, self._begin_waiting(part)
        try:
            text = await self._answer_of(patiently(scripts.compose_part, caller, script_id, part), wait)
        except WebhookError as error:
            async with self:
                self.errors = {part: error.public_message}
            return None
        async with self:
            if text is None or self._wait != wait:
                return None
            self._end_waiting()
            self._exchange(part, text)
            self.ways_back = {**self.ways_back, part: wording.UNDO}
            self.said_of_parts = wording.REWRITTEN[part]
            return await self._save(caller, {part: text})

    @signed_in
    async def undo(self, caller: Caller, part: str) -> EventSpec | None:
        """Back to what the part was before it was written anew; once more, and it is as it was."""
        if part not in self._before:
            return None
        self._exchange(part, self._before[part])
        is_undone = self.ways_back[part] == wording.UNDO
        self.ways_back = {**self.ways_back, part: wording.REDO if is_undone else wording.UNDO}
        self.said_of_parts = ""
        return await self._save(caller, {part: self.parts[part]})

    def _show_script(self, script: ScriptView) -> None:
        self.script_id = script.video_id
        self.parts = {part: getattr(script, part) for part in PARTS}
        self.part_numbers = {part: number + 1 for part, number in self.part_numbers.items()}
        self.can_rewrite = bool(settings().script_webhook)
        self._before, self.ways_back, self.said_of_parts = {}, {}, ""
        self._end_waiting()

    def _exchange(self, part: str, text: str) -> None:
        self._before = {**self._before, part: self.parts[part]}
        self._put(part, text)

    def _put(self, part: str, text: str) -> None:
        self.parts = {**self.parts, part: text}
        self.part_numbers = {**self.part_numbers, part: self.part_numbers[part] + 1}

    async def _save(self, caller: Caller, parts: Mapping[str, str]) -> EventSpec | None:
        """Keep the parts for good; the browser need not keep them any longer."""
        try:
            await quickly(scripts.save, caller, self.script_id, parts)
        except InvalidInput as error:
            self.errors = error.fields  # without moving the focus of somebody who types
            return None
        self.errors = {}
        return rx.remove_local_storage(place(self.email, kept_as(self.script_id)))


def typed_parts(form: Mapping[str, Any]) -> dict[str, str]:
    return {part: str(form.get(part, "")) for part in PARTS}
