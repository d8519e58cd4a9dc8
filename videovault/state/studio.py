"""Making a video: the brief, and the modal that leads from its script to the finished video."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import reflex as rx
from reflex.event import EventSpec

from videovault import worker
from videovault.config import settings
from videovault.errors import InvalidInput, VideoNotFound
from videovault.services import generation, pipeline, scripts, videos
from videovault.services.access import Caller
from videovault.services.views import ScriptView, VideoView
from videovault.state import briefs, wording
from videovault.state.calls import patiently, quickly
from videovault.state.session import HOME, SessionState, signed_in
from videovault.state.shapes import Card

Stage = Literal["", "script", "working", "ready", "failed"]
STAGES: dict[str, Stage] = {
    "draft": "script",
    "processing": "working",
    "ready": "ready",
    "failed": "failed",
}
PARTS = ("hook", "body", "conclusion")


class StudioState(SessionState):
    brief: dict[str, str] = briefs.EMPTY
    # A new number gives the form new fields, so that what was typed into the old ones goes.
    form_number: int = 0
    is_writing: bool = False
    waited: int = 0
    patience: str = ""

    stage: Stage = ""
    video: Card = Card()
    parts: dict[str, str] = dict.fromkeys(PARTS, "")
    meters: dict[str, str] = dict.fromkeys(PARTS, "")
    meter: str = ""
    is_complete: bool = False
    is_requesting: bool = False
    has_script: bool = False

    _typed: dict[str, str] = {}

    @signed_in
    async def enter(self, caller: Caller) -> None:
        """Fill the form as it was left, else as for the last video; open the video the address names."""
        self.brief = self._typed or briefs.shown(await quickly(scripts.latest, caller))
        named = self.router.url.query_parameters.get("video", "")
        if named != (self.video.video_id if self.stage else ""):
            self.stage = ""
            if named:
                await self._open(caller, named)

    @signed_in
    async def keep_brief(self, caller: Caller, form: dict[str, Any]) -> None:  # noqa: ARG002 - every handler asks who calls
        """Remember what is in the form, for a page that is loaded again."""
        self._typed = briefs.typed(form)

    @signed_in(background=True, beside="form")
    async def write(self, caller: Caller, form: dict[str, Any]) -> AsyncIterator[None]:
        """Have the script written, counting the seconds, and open it."""
        async with self:
            if self.is_writing:
                return
            self.is_writing, self.waited, self.errors = True, 0, {}
            self.patience = wording.about(settings().webhook_timeout_seconds)
        writing = asyncio.ensure_future(patiently(scripts.write, caller, briefs.wanted(form)))
        try:
            while not (await asyncio.wait([writing], timeout=1))[0]:
                async with self:
                    self.waited += 1
                yield
        finally:
            async with self:
                self.is_writing = False
        draft = await writing
        async with self:
            await self._open(caller, draft.video_id)

    @signed_in
    async def keep(self, caller: Caller, form: dict[str, Any]) -> None:
        """Keep what is typed into the script; nothing is lost by closing."""
        if self.stage != "script":
            return
        self._measure(_parts(form))
        try:
            await quickly(scripts.save, caller, self.video.video_id, _parts(form))
            self.errors = {}
        except InvalidInput as error:
            self.errors = error.fields  # without moving the focus of somebody who types

    @signed_in(beside="script")
    async def make(self, caller: Caller, form: dict[str, Any]) -> AsyncIterator[None]:
        """Have the video made; a second click waits its turn, finds it in work and does nothing."""
        if self.stage != "script":
            return
        self.errors, self.is_requesting = {}, True
        yield  # so that the button shows that it was heard
        try:
            await self._request(caller, form)
        finally:
            self.is_requesting = False

    @signed_in
    async def open(self, caller: Caller, video_id: str) -> None:
        """Open a video of any status where it stands."""
        await self._open(caller, video_id)

    @signed_in
    async def close(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        if self.stage == "script":
            self._say("Your script is kept, under Drafts in the gallery.")
        self.stage, self.errors = "", {}

    @signed_in(beside="video")
    async def cancel(self, caller: Caller) -> None:
        self._show(await quickly(pipeline.cancel, caller, self.video.video_id))

    @signed_in(beside="video")
    async def retry(self, caller: Caller) -> None:
        retried = await quickly(pipeline.retry, caller, self.video.video_id, enqueue=worker.enqueue)
        self._show(retried)

    @signed_in
    async def edit(self, caller: Caller) -> None:
        """Go back to the script of a video that failed."""
        if self.stage == "failed":
            self._show_script(await quickly(scripts.read, caller, self.video.video_id))
            self.stage = "script"

    @signed_in
    async def again(self, caller: Caller) -> EventSpec:
        """Start another video with all that this one began with."""
        self._typed = briefs.of((await quickly(scripts.read, caller, self.video.video_id)).model_dump())
        self.brief, self.stage = self._typed, ""
        self.form_number += 1
        return rx.redirect(HOME)

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """See whether the video that is watched has come to an end."""
        if self.stage != "working":
            return
        try:
            self._show(await quickly(videos.get, caller, self.video.video_id, links=False))
        except VideoNotFound:
            self.stage = ""
            self._say("This video has been deleted.")

    async def _request(self, caller: Caller, form: dict[str, Any]) -> None:
        video_id = self.video.video_id
        script = (await quickly(scripts.read, caller, video_id)).model_dump() | _parts(form)
        self._show(await quickly(generation.request, caller, script, video_id, enqueue=worker.enqueue))
        self._typed, self.brief = {}, briefs.of(script) | {"topic": ""}
        self.form_number += 1

    async def _open(self, caller: Caller, video_id: str) -> None:
        self.notice = ""
        self._show_script(await quickly(scripts.read, caller, video_id))
        self._show(await quickly(videos.get, caller, video_id, links=False))

    def _show(self, video: VideoView) -> None:
        self.video, self.stage = Card.of(video), STAGES[video.status]
        self.errors = {}

    def _show_script(self, script: ScriptView) -> None:
        self.parts = {name: getattr(script, name) for name in PARTS}
        self.has_script = any(self.parts.values())
        self._measure(self.parts)

    def _measure(self, parts: Mapping[str, str]) -> None:
        self.meters = {name: wording.meter(parts[name]) for name in PARTS}
        self.meter = wording.meter(" ".join(parts.values()))
        self.is_complete = all(parts[name].strip() for name in PARTS)


def _parts(form: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(form.get(name, "")) for name in PARTS}
