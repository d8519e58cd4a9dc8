"""Making a video: the brief, and the modal that leads from its script to the finished video."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal

import reflex as rx
from reflex.event import EventSpec

from videovault import worker
from videovault.config import settings
from videovault.errors import Conflict, InvalidInput, VideoNotFound
from videovault.services import budget, generation, pipeline, scripts, videos
from videovault.services.access import Caller
from videovault.services.views import VideoView
from videovault.state import briefs, wording
from videovault.state.briefing import KEPT_AS
from videovault.state.calls import patiently, quickly
from videovault.state.keeping import place
from videovault.state.script import ScriptState, kept_as, typed_parts
from videovault.state.session import HOME, signed_in
from videovault.state.shapes import Card

Stage = Literal["", "script", "working", "ready", "failed"]
STAGES: dict[str, Stage] = {
    "draft": "script",
    "processing": "working",
    "ready": "ready",
    "failed": "failed",
}
SCRIPT = "script"  # the wait for the first webhook


class StudioState(ScriptState):
    """The modal. It knows the brief and the script as its own vars: each step is made of the one before."""

    stage: Stage = ""
    video: Card = Card()
    is_requesting: bool = False
    has_script: bool = False
    link_seconds: int = 0
    address: str = ""  # from which a failed video was fetched
    budget: str = ""  # how many videos may still be made today

    @signed_in
    async def enter(self, caller: Caller) -> None:
        """Fill the form as it was left, else as for the last video; open the video the address names."""
        self.is_requesting = False  # whatever a server that died left behind
        await self._show_budget(caller)
        await self._offer(caller)
        latest = await quickly(scripts.latest, caller)
        self.brief = (
            briefs.fitted(self._typed, self._offered) if self._typed else briefs.shown(latest, self._offered)
        )
        named = self.router.url.query_parameters.get("video", "")
        if named != (self.video.video_id if self.stage else ""):
            self.stage = ""
            if named:
                await self._open(caller, named)

    @signed_in(background=True, beside="form")
    async def write(self, caller: Caller, form: dict[str, Any]) -> None:
        """Have the script written, counting the seconds, and open it."""
        async with self:
            if self.waiting_for:
                return
            wait = self._begin_waiting(SCRIPT)
            form = briefs.completed(form, self.brief)
        try:
            composed = await self._answer_of(patiently(scripts.compose, caller, briefs.wanted(form)), wait)
        except InvalidInput as error:
            raise InvalidInput(error.public_message, briefs.placed(error.fields, form)) from error
        if composed is None:
            return
        try:
            draft = await quickly(scripts.keep, caller, composed)
            async with self:
                await self._open(caller, draft.video_id)
                self.errors = dict.fromkeys(scripts.left_empty(composed), wording.LEFT_EMPTY)
        finally:
            async with self:
                self._end_waiting()

    @signed_in(beside="script")
    async def make(self, caller: Caller, form: dict[str, Any]) -> AsyncIterator[Any]:
        """Have the video made; a second click waits its turn, finds it in work and does nothing."""
        if self.stage != "script" or self.waiting_for:
            return
        self.errors, self.is_requesting = {}, True
        yield  # so that the button shows that it was heard
        try:
            await self._request(caller, form)
        finally:
            self.is_requesting = False
        yield [self._forget(KEPT_AS), self._forget(kept_as(self.video.video_id))]

    @signed_in
    async def open(self, caller: Caller, video_id: str) -> None:
        """Open a video of any status where it stands."""
        await self._open(caller, video_id)

    @signed_in
    async def close(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        if self.stage == "script":
            self._say("Your script is kept, under Drafts in the gallery.")
            self._end_waiting()
        self.stage, self.address, self.errors = "", "", {}

    @signed_in(beside="video")
    async def cancel(self, caller: Caller) -> None:
        self._show(await quickly(pipeline.cancel, caller, self.video.video_id))
        await self._show_address(caller)

    @signed_in(beside="video")
    async def retry(self, caller: Caller) -> None:
        retried = await quickly(pipeline.retry, caller, self.video.video_id, enqueue=worker.enqueue)
        self._show(retried)
        await self._show_budget(caller)

    @signed_in(beside="videoUrl")
    async def fetch(self, caller: Caller, form: dict[str, Any]) -> None:
        """Fetch it again, from another address if that was changed."""
        url = str(form.get("videoUrl", ""))
        fetched = await patiently(
            pipeline.fetch_from, caller, self.video.video_id, url, enqueue=worker.enqueue
        )
        self._show(fetched)

    @signed_in(beside="video")
    async def regenerate(self, caller: Caller) -> None:
        """Order it again, although its file could be fetched again."""
        ordered = await quickly(
            pipeline.retry, caller, self.video.video_id, "generation", enqueue=worker.enqueue
        )
        self._show(ordered)
        await self._show_budget(caller)

    @signed_in
    async def edit(self, caller: Caller) -> None:
        """Go back to the script of a video that failed."""
        if self.stage == "failed":
            self._show_script(await quickly(scripts.read, caller, self.video.video_id))
            self.stage = "script"

    @signed_in
    async def again(self, caller: Caller, video_id: str) -> list[EventSpec]:
        """Start another video with all that this one began with."""
        await self._offer(caller)
        script = await quickly(scripts.read, caller, video_id)
        self._typed = briefs.of(script.model_dump(), self._offered)
        self._fill(self._typed)
        self.stage = ""
        return [self._forget(KEPT_AS), rx.redirect(HOME)]

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """See whether the video that is watched has come to an end."""
        if self.stage != "working" and not (self.stage == "ready" and self.video.awaits_copy):
            return
        try:
            self._show(await quickly(videos.get, caller, self.video.video_id, links=False))
            await self._show_address(caller)
        except VideoNotFound:
            self.stage = ""
            self._say("This video has been deleted.")

    async def _request(self, caller: Caller, form: dict[str, Any]) -> None:
        video_id = self.video.video_id
        script = (await quickly(scripts.read, caller, video_id)).model_dump() | typed_parts(form)
        self._show(await quickly(generation.request, caller, script, video_id, enqueue=worker.enqueue))
        await self._show_budget(caller)
        self._typed = {}
        self._fill(briefs.of(script) | {"topic": ""})

    async def _open(self, caller: Caller, video_id: str) -> None:
        self.notice = ""
        self._show_script(await quickly(scripts.read, caller, video_id))
        self.has_script = any(self.parts.values())
        self._show(await quickly(videos.get, caller, video_id, links=False))
        await self._show_address(caller)
        await self._show_budget(caller)

    async def _show_address(self, caller: Caller) -> None:
        """To its owner, or to the admin who opened it; see ``pipeline.source_address``."""
        if self.stage == "failed" and self.video.can_fetch:
            with suppress(Conflict):  # tried again elsewhere since it was read
                shown = await quickly(pipeline.source_address, caller, self.video.video_id)
                self.address = shown.video_url

    async def _show_budget(self, caller: Caller) -> None:
        left = await quickly(budget.left, caller)
        self.budget = wording.budget(left.limit, left.left, left.left_in_total)

    def _show(self, video: VideoView) -> None:
        self.video, self.stage, self.address = Card.of(video), STAGES[video.status], ""
        self.link_seconds = settings().download_url_seconds
        if self.stage != "script":
            self.script_id = ""
        self.errors = {}

    def _forget(self, name: str) -> EventSpec:
        """What the browser kept in case it would not get here."""
        return rx.remove_local_storage(place(self.email, name))
