"""Creating a video: the brief, and the modal that leads from the script to the finished video."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeVar

import reflex as rx
from reflex.event import EventSpec

from videovault import worker
from videovault.config import settings
from videovault.errors import Conflict, InvalidInput, VideoNotFound, WebhookError
from videovault.formatting import format_duration
from videovault.services.core.access import Caller
from videovault.services.core.fields import BRIEF
from videovault.services.core.views import Retry, ScriptView, VideoView
from videovault.services.generation import avatars, budget, orders, scripts
from videovault.services.generation.avatars import BUILT_IN_NAMES, OTHER_AVATAR
from videovault.services.generation.scripts import PARTS
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery
from videovault.state import wording
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.outages import OUTAGE_ERRORS
from videovault.state.session import HOME, SessionState, signed_in, storage_key
from videovault.state.view_models import Avatar, Card

T = TypeVar("T")
TICK_SECONDS = 1.0
# A wait in this state is kept alive by the process that waits: each second while it has the page, else now and then.
WAIT_BEAT_SECONDS, WAIT_LEASE_SECONDS = 4.0, 16.0
BRIEF_STORAGE_NAME = "brief"
SCRIPT = "script"  # `waiting_for` while the whole script is being written
TEXTS = tuple(name for name in BRIEF if name != "avatar")
EMPTY = {**dict.fromkeys(TEXTS, ""), "avatar": BUILT_IN_NAMES[0], "avatar_name": ""}

Stage = Literal["", "script", "working", "ready", "failed"]
STAGES: dict[str, Stage] = {
    "draft": "script",
    "processing": "working",
    "ready": "ready",
    "failed": "failed",
}


class CreateState(SessionState):
    """The brief, the wait for the script webhook, the script and the modal of one video.

    One state: each step uses the values of the one before. New ``form_number`` and ``part_numbers`` give the page new
    fields, which replace what was typed into the old ones.
    """

    waiting_for: str = ""  # SCRIPT, one of its parts, or nothing
    waited_seconds: int = 0
    max_wait: str = ""

    avatars: list[Avatar] = []
    has_own_avatars: bool = False
    brief: dict[str, str] = EMPTY
    form_number: int = 0

    script_id: str = ""  # the video whose script may be changed
    parts: dict[str, str] = dict.fromkeys(PARTS, "")
    part_numbers: dict[str, int] = dict.fromkeys(PARTS, 0)
    undo_labels: dict[str, str] = {}  # by part: whether its button undoes or redoes the rewriting
    parts_notice: str = ""
    can_rewrite: bool = False

    stage: Stage = ""
    video: Card = Card()
    is_requesting: bool = False
    has_script: bool = False
    link_seconds: int = 0
    source_url: str = ""  # of a video that failed
    budget: str = ""  # how many videos may still be made today
    # What the browser need not keep any more; the id is new for each removal.
    removal: str = ""
    stored_keys: list[str] = []

    _wait_number: int = 0  # changes when the user cancels the wait
    _typed: dict[str, str] = {}
    _previous_parts: dict[str, str] = {}

    # The wait for the script webhook.

    @signed_in
    async def cancel_wait(self) -> None:
        """Stop waiting; an answer that still arrives is discarded."""
        self._end_wait()

    @signed_in(background=True, supersedes=True)
    async def watch_wait(self) -> None:
        """End a wait that another process has left behind: it died, and its answer is lost. For restored pages."""
        seen, seen_at = (0, 0), time.monotonic()
        while self._is_open():
            async with self:
                if not self.waiting_for:
                    return
                beat = (self._wait_number, self.waited_seconds)
                if beat != seen:
                    seen, seen_at = beat, time.monotonic()
                elif time.monotonic() > seen_at + WAIT_LEASE_SECONDS:
                    self.errors = {self._asked_from: wording.SCRIPT_LOST[self.waiting_for]}
                    self._end_wait()
                    return
            await asyncio.sleep(TICK_SECONDS)

    @property
    def _asked_from(self) -> str:
        """Where errors of this wait are shown."""
        return "form" if self.waiting_for == SCRIPT else self.waiting_for

    def _start_wait(self, what: str) -> int:
        self.waiting_for, self.waited_seconds, self.errors = what, 0, {}
        self.max_wait = format_duration(settings().webhook_timeout_seconds)
        self._wait_number += 1
        return self._wait_number

    def _end_wait(self) -> None:
        self.waiting_for = ""
        self._wait_number += 1

    async def _result_of(self, call: Awaitable[T], wait: int) -> T | None:
        """The result, with the wait still on; None if it was cancelled. For background handlers."""
        task, started = asyncio.ensure_future(call), time.monotonic()
        beat = started
        while not (await asyncio.wait([task], timeout=TICK_SECONDS))[0]:
            # The result is kept for when the page is open again, here or at another replica.
            is_due = settings().redis_url and time.monotonic() > beat + WAIT_BEAT_SECONDS
            if not (self._is_open() or is_due):
                continue
            beat = time.monotonic()
            with suppress(*OUTAGE_ERRORS):
                async with self:
                    self.waited_seconds = round(time.monotonic() - started)
                    if self._wait_number != wait:
                        task.cancel()
                        return None
        error = task.exception()
        async with self:
            is_cancelled = self._wait_number != wait
            if error and not is_cancelled:
                self._end_wait()
        if is_cancelled:
            return None
        if error:
            raise error
        return task.result()

    # The brief.

    @signed_in
    async def enter(self, caller: Caller) -> Any:
        """Fill the form as it was left, else as for the last video; open the video that the address names."""
        self.is_requesting = False  # may be left over from a server that was stopped
        await self._show_budget(caller)
        await self._load_avatars(caller)
        latest = await run_in_db_pool(scripts.latest, caller)
        if self._typed:
            self.brief = with_offered_avatar(self._typed, self._offered)
        else:
            self.brief = next_brief(latest, self._offered)
        named = self.router.url.query_parameters.get("video", "")
        if named != (self.video.video_id if self.stage else ""):
            self.stage = ""
            if named:
                await self._open(caller, named)
        return CreateState.watch_wait if self.waiting_for else None

    @signed_in
    async def resume(self) -> Any:
        """When the connection of the page is restored: what it waits for may have been lost with a server."""
        self.is_requesting = False
        return CreateState.watch_wait if self.waiting_for else None

    @signed_in
    async def save_brief(self, form: dict[str, Any]) -> None:
        """Remember the form for when the page is loaded again."""
        self._typed = form_values(with_default_avatar(form, self.brief))

    @signed_in
    async def restore_brief(self, caller: Caller, form: dict[str, Any]) -> None:
        """Show what the browser kept and this tab does not know: after signing in again or a server restart."""
        await self._load_avatars(caller)
        typed = with_offered_avatar(form_values(with_default_avatar(form, self.brief)), self._offered)
        if typed != (self._typed or self.brief):
            self._typed = typed
            self._fill(typed)

    @signed_in(background=True, beside="form")
    async def write_script(self, caller: Caller, form: dict[str, Any]) -> None:
        """Have the script written, counting the seconds, and open it."""
        async with self:
            if self.waiting_for:
                return
            wait = self._start_wait(SCRIPT)
            form = with_default_avatar(form, self.brief)
        try:
            call = run_in_io_pool(scripts.compose, caller, requested_brief(form))
            composed = await self._result_of(call, wait)
        except InvalidInput as error:
            raise InvalidInput(error.public_message, errors_by_field(error.fields, form)) from error
        if composed is None:
            return
        try:
            draft = await run_in_db_pool(scripts.save_draft, caller, composed)
            async with self:
                await self._open(caller, draft.video_id)
                self.errors = dict.fromkeys(scripts.missing_parts(composed), wording.LEFT_EMPTY)
        finally:
            async with self:
                self._end_wait()

    @property
    def _offered(self) -> list[str]:
        """The generator's IDs of the avatars to choose from."""
        return [avatar.generator_id for avatar in self.avatars]

    async def _load_avatars(self, caller: Caller) -> None:
        found = await run_in_db_pool(avatars.list_avatars, caller)
        self.avatars = [Avatar.of(view) for view in found.avatars]
        self.has_own_avatars = not found.are_built_in

    def _fill(self, brief: dict[str, str]) -> None:
        self.brief = brief
        self.form_number += 1

    # The script.

    @signed_in
    async def save_script(self, caller: Caller, form: dict[str, Any]) -> None:
        """Save what is typed, so that closing loses nothing."""
        if self.script_id:
            self.parts = script_parts(form)
            await self._save(caller, self.parts)

    @signed_in
    async def restore_script(self, caller: Caller, form: dict[str, Any]) -> None:
        """Take over what the browser could not send, because the session had ended or the connection was lost."""
        if not self.script_id:
            return
        typed = script_parts(form)
        for part in PARTS:
            if typed[part] != self.parts[part]:
                self._replace(part, typed[part])
        await self._save(caller, typed)

    @signed_in(background=True, beside="script")
    async def rewrite(self, caller: Caller, part: str) -> None:
        """Have one part rewritten and keep the others; a second call meanwhile cancels and changes nothing."""
        async with self:
            if self.waiting_for or part not in PARTS or not self.script_id:
                self._end_wait()
                return
            script_id, wait = self.script_id, self._start_wait(part)
        try:
            text = await self._result_of(run_in_io_pool(scripts.compose_part, caller, script_id, part), wait)
        except WebhookError as error:
            async with self:
                self.errors = {part: error.public_message}
            return
        async with self:
            if text is None or self._wait_number != wait:
                return
            self._end_wait()
            self._swap(part, text)
            self.undo_labels = {**self.undo_labels, part: wording.UNDO}
            self.parts_notice = wording.REWRITTEN[part]
            await self._save(caller, {part: text})

    @signed_in
    async def undo(self, caller: Caller, part: str) -> None:
        """Swap the part with its text before the rewriting: the first call undoes, the next one redoes."""
        if part not in self._previous_parts:
            return
        self._swap(part, self._previous_parts[part])
        is_undone = self.undo_labels[part] == wording.UNDO
        self.undo_labels = {**self.undo_labels, part: wording.REDO if is_undone else wording.UNDO}
        self.parts_notice = ""
        await self._save(caller, {part: self.parts[part]})

    def _show_script(self, script: ScriptView) -> None:
        self.script_id = script.video_id
        self.parts = {part: getattr(script, part) for part in PARTS}
        self.part_numbers = {part: number + 1 for part, number in self.part_numbers.items()}
        self.can_rewrite = bool(settings().script_webhook)
        self._previous_parts, self.undo_labels, self.parts_notice = {}, {}, ""
        self._end_wait()

    def _swap(self, part: str, text: str) -> None:
        self._previous_parts = {**self._previous_parts, part: self.parts[part]}
        self._replace(part, text)

    def _replace(self, part: str, text: str) -> None:
        self.parts = {**self.parts, part: text}
        self.part_numbers = {**self.part_numbers, part: self.part_numbers[part] + 1}

    async def _save(self, caller: Caller, parts: Mapping[str, str]) -> None:
        """Save the parts; the browser then need not keep them."""
        try:
            await run_in_db_pool(scripts.update_draft, caller, self.script_id, parts)
        except InvalidInput as error:
            self.errors = error.fields  # without moving the focus away from the field being typed into
            return
        self.errors = {}
        self._remove_from_browser(script_storage_name(self.script_id))

    # The modal.

    @signed_in(beside="script")
    async def create_video(self, caller: Caller, form: dict[str, Any]) -> AsyncIterator[Any]:
        """Request the video; a second click is handled after the first one and then does nothing."""
        if self.stage != "script" or self.waiting_for:
            return
        self.errors, self.is_requesting = {}, True
        yield  # shows the button as busy
        try:
            await self._request(caller, form)
        finally:
            self.is_requesting = False
        self._remove_from_browser(BRIEF_STORAGE_NAME, script_storage_name(self.video.video_id))

    @signed_in
    async def open(self, caller: Caller, video_id: str) -> None:
        """Open a video of any status at its current step."""
        await self._open(caller, video_id)

    @signed_in
    async def close(self) -> None:
        if self.stage == "script":
            self._notify("Your script is saved under Drafts in the gallery.")
            self._end_wait()
        self.stage, self.source_url, self.errors = "", "", {}

    @signed_in(beside="video")
    async def cancel(self, caller: Caller) -> None:
        self._show(await run_in_db_pool(pipeline.cancel, caller, self.video.video_id))
        await self._show_source_url(caller)

    @signed_in(beside="video")
    async def retry(self, caller: Caller) -> None:
        await self._retry(caller)

    @signed_in(beside="videoUrl")
    async def fetch(self, caller: Caller, form: dict[str, Any]) -> None:
        """Fetch the file again, from the URL in the form."""
        url = str(form.get("videoUrl", ""))
        fetched = await run_in_io_pool(
            pipeline.fetch_from_url, caller, self.video.video_id, url, enqueue=worker.enqueue
        )
        self._show(fetched)

    @signed_in(beside="video")
    async def regenerate(self, caller: Caller) -> None:
        """Order the video again, although its file could be fetched again."""
        await self._retry(caller, "generation")

    @signed_in
    async def edit(self, caller: Caller) -> None:
        """Go back to the script of a video that failed."""
        if self.stage == "failed":
            self._show_script(await run_in_db_pool(scripts.read, caller, self.video.video_id))
            self.stage = "script"

    @signed_in
    async def create_another(self, caller: Caller, video_id: str) -> EventSpec:
        """Start another video with the brief of this one."""
        await self._load_avatars(caller)
        script = await run_in_db_pool(scripts.read, caller, video_id)
        self._typed = brief_of(script.model_dump(), self._offered)
        self._fill(self._typed)
        self.stage = ""
        self._remove_from_browser(BRIEF_STORAGE_NAME)
        return rx.redirect(HOME)

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """Follow the video in the modal until it, and the copy being made of it, are done."""
        if self.stage != "working" and not (self.stage == "ready" and self.video.awaits_copy):
            return
        try:
            self._show(await run_in_db_pool(gallery.get, caller, self.video.video_id, links=False))
            await self._show_source_url(caller)
        except VideoNotFound:
            self.stage = ""
            self._notify("This video has been deleted.")

    async def _retry(self, caller: Caller, how: Retry | None = None) -> None:
        video_id = self.video.video_id
        self._show(await run_in_db_pool(pipeline.retry, caller, video_id, how, enqueue=worker.enqueue))
        await self._show_budget(caller)

    async def _request(self, caller: Caller, form: dict[str, Any]) -> None:
        video_id = self.video.video_id
        script = (await run_in_db_pool(scripts.read, caller, video_id)).model_dump() | script_parts(form)
        self._show(await run_in_db_pool(orders.request, caller, script, video_id, enqueue=worker.enqueue))
        await self._show_budget(caller)
        self._typed = {}
        self._fill(brief_of(script) | {"topic": ""})

    async def _open(self, caller: Caller, video_id: str) -> None:
        self.notice = ""
        self._show_script(await run_in_db_pool(scripts.read, caller, video_id))
        self.has_script = any(self.parts.values())
        self._show(await run_in_db_pool(gallery.get, caller, video_id, links=False))
        await self._show_source_url(caller)
        await self._show_budget(caller)

    async def _show_source_url(self, caller: Caller) -> None:
        """For the owner, or the admin who opened the video; see ``pipeline.reveal_source_url``."""
        if self.stage == "failed" and self.video.can_fetch:
            with suppress(Conflict):  # retried elsewhere since it was read
                source = await run_in_db_pool(pipeline.reveal_source_url, caller, self.video.video_id)
                self.source_url = source.video_url

    async def _show_budget(self, caller: Caller) -> None:
        left = await run_in_db_pool(budget.remaining, caller)
        self.budget = wording.budget(left.limit, left.left, left.left_in_total)

    def _show(self, video: VideoView) -> None:
        self.video, self.stage, self.source_url = Card.of(video), STAGES[video.status], ""
        self.link_seconds = settings().download_url_seconds
        if self.stage != "script":
            self.script_id = ""
        self.errors = {}

    def _remove_from_browser(self, *names: str) -> None:
        self.removal, self.stored_keys = (
            secrets.token_hex(8),
            [storage_key(self.email, name) for name in names],
        )


def brief_of(script: Mapping[str, Any], offered: Collection[str] = BUILT_IN_NAMES) -> dict[str, str]:
    """The form that gives this script's brief; ``offered`` are the avatar IDs to choose from."""
    avatar = str(script["avatar"]) or next(iter(offered))
    return {name: str(script[name]) for name in TEXTS} | _avatar_fields(avatar, offered)


def next_brief(latest: ScriptView | None, offered: Collection[str] = BUILT_IN_NAMES) -> dict[str, str]:
    """The form for a new video: that of the last one without its topic."""
    form = brief_of(latest.model_dump(), offered) | {"topic": ""} if latest else EMPTY
    return with_offered_avatar(form, offered)


def with_offered_avatar(form: Mapping[str, str], offered: Collection[str]) -> dict[str, str]:
    """The form when other avatars are offered now: a built-in one is replaced, any other ID stays as typed."""
    avatar = form["avatar_name"] if form["avatar"] == OTHER_AVATAR else form["avatar"]
    if avatar in BUILT_IN_NAMES and avatar not in offered:
        avatar = next(iter(offered))
    if not avatar:
        return dict(form)
    return {**form, **_avatar_fields(avatar, offered)}


def with_default_avatar(form: Mapping[str, Any], default: Mapping[str, str]) -> dict[str, Any]:
    """The form with the avatar of ``default`` if it was sent before the page had loaded the avatars."""
    if form.get("avatar"):
        return dict(form)
    return {**form, "avatar": default["avatar"], "avatar_name": default["avatar_name"]}


def form_values(form: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(form.get(name, "")) for name in EMPTY}


def requested_brief(form: Mapping[str, Any]) -> dict[str, str]:
    """The brief as the services take it."""
    fields = form_values(form)
    other = fields.pop("avatar_name")
    return fields | ({"avatar": other} if fields["avatar"] == OTHER_AVATAR else {})


def errors_by_field(errors: Mapping[str, str], form: Mapping[str, Any]) -> dict[str, str]:
    """The services' errors under the form's names: another avatar has a field of its own."""
    is_other = form.get("avatar") == OTHER_AVATAR
    return {"avatar_name" if is_other and name == "avatar" else name: text for name, text in errors.items()}


def _avatar_fields(avatar: str, offered: Collection[str]) -> dict[str, str]:
    if avatar in offered:
        return {"avatar": avatar, "avatar_name": ""}
    return {"avatar": OTHER_AVATAR, "avatar_name": avatar}


def script_parts(form: Mapping[str, Any]) -> dict[str, str]:
    return {part: str(form.get(part, "")) for part in PARTS}


def script_storage_name(video_id: Any) -> str:
    return f"script/{video_id}"
