"""Making a video: the brief, and the modal that leads from its script to the finished video."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeVar

import reflex as rx
from reflex.event import EventSpec

from videovault import worker
from videovault.config import settings
from videovault.errors import Conflict, InvalidInput, VideoNotFound, WebhookError
from videovault.services.core.access import Caller
from videovault.services.core.fields import BRIEF
from videovault.services.core.views import ScriptView, VideoView
from videovault.services.generation import avatars as generation_avatars
from videovault.services.generation import budget as generation_budget
from videovault.services.generation import orders, scripts
from videovault.services.generation.avatars import BUILT_IN_NAMES, OTHER_AVATAR
from videovault.services.generation.scripts import PARTS
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery
from videovault.state import wording
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.local_storage import storage_key
from videovault.state.session import HOME, SessionState, signed_in
from videovault.state.view_models import Avatar, Card

# A wait for the script webhook: its seconds are counted, it has a deadline, and a person may give it up.

T = TypeVar("T")
TICK_SECONDS = 1.0


class WaitState(SessionState):
    waiting_for: str = ""  # "script", one of its parts, or nothing
    waited: int = 0
    patience: str = ""

    _wait: int = 0  # a wait that somebody gave up finds another number here

    @signed_in
    async def give_up(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        """Wait no longer; whatever is still answered is not kept."""
        self._end_waiting()

    def _begin_waiting(self, what: str) -> int:
        self.waiting_for, self.waited, self.errors = what, 0, {}
        self.patience = wording.about(settings().webhook_timeout_seconds)
        self._wait += 1
        return self._wait

    def _end_waiting(self) -> None:
        self.waiting_for = ""
        self._wait += 1

    async def _answer_of(self, call: Awaitable[T], wait: int) -> T | None:
        """The answer, with the wait still on; None once it was given up. For background handlers."""
        asking = asyncio.ensure_future(call)
        while not (await asyncio.wait([asking], timeout=TICK_SECONDS))[0]:
            async with self:
                self.waited += 1
                if self._wait != wait:
                    asking.cancel()
                    return None
        problem = asking.exception()
        async with self:
            is_given_up = self._wait != wait
            if problem and not is_given_up:
                self._end_waiting()
        if is_given_up:
            return None
        if problem:
            raise problem
        return asking.result()


# The brief as its form shows it: an avatar that is offered, or any other by the generator's ID.

TEXTS = tuple(name for name in BRIEF if name != "avatar")
EMPTY = {**dict.fromkeys(TEXTS, ""), "avatar": BUILT_IN_NAMES[0], "avatar_name": ""}


def of(script: Mapping[str, Any], offered: Collection[str] = BUILT_IN_NAMES) -> dict[str, str]:
    """The form that would make this script again; ``offered`` are the IDs to choose from."""
    avatar = str(script["avatar"]) or next(iter(offered))
    return {name: str(script[name]) for name in TEXTS} | _chosen(avatar, offered)


def shown(latest: ScriptView | None, offered: Collection[str] = BUILT_IN_NAMES) -> dict[str, str]:
    """The form for a new video: all as in the last one but what it is about."""
    return fitted_brief(of(latest.model_dump(), offered) | {"topic": ""} if latest else EMPTY, offered)


def fitted_brief(form: Mapping[str, str], offered: Collection[str]) -> dict[str, str]:
    """The form where other avatars are offered by now: a built-in one gives way, any other ID stays as typed."""
    avatar = form["avatar_name"] if form["avatar"] == OTHER_AVATAR else form["avatar"]
    if avatar in BUILT_IN_NAMES and avatar not in offered:
        avatar = next(iter(offered))
    if not avatar:
        return dict(form)
    return {**form, **_chosen(avatar, offered)}


def typed_brief(form: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the form now."""
    return {name: str(form.get(name, "")) for name in EMPTY}


def completed_brief(form: Mapping[str, Any], shown: Mapping[str, str]) -> dict[str, Any]:
    """The form with the avatar that is ``shown`` as chosen, where it was sent before the page had avatars."""
    if form.get("avatar"):
        return dict(form)
    return {**form, "avatar": shown["avatar"], "avatar_name": shown["avatar_name"]}


def wanted(form: Mapping[str, Any]) -> dict[str, str]:
    """What the form asks for, as the services take it."""
    fields = typed_brief(form)
    named = fields.pop("avatar_name")
    return fields | ({"avatar": named} if fields["avatar"] == OTHER_AVATAR else {})


def placed(problems: Mapping[str, str], form: Mapping[str, Any]) -> dict[str, str]:
    """What the services say of the brief, at the fields of the form: another avatar has one of its own."""
    named = form.get("avatar") == OTHER_AVATAR
    return {"avatar_name" if named and name == "avatar" else name: text for name, text in problems.items()}


def _chosen(avatar: str, offered: Collection[str]) -> dict[str, str]:
    if avatar in offered:
        return {"avatar": avatar, "avatar_name": ""}
    return {"avatar": OTHER_AVATAR, "avatar_name": avatar}


# The brief: what is typed into its form, kept until the video is made.

BRIEF_STORAGE_NAME = "brief"


class BriefState(WaitState):
    avatars: list[Avatar] = []
    has_own_avatars: bool = False
    brief: dict[str, str] = EMPTY
    # A new number gives the form new fields, so that what was typed into the old ones goes.
    form_number: int = 0

    _typed: dict[str, str] = {}

    @signed_in
    async def save_brief(self, caller: Caller, form: dict[str, Any]) -> None:  # noqa: ARG002 - every handler asks who calls
        """Remember what is in the form, for a page that is loaded again."""
        self._typed = typed_brief(completed_brief(form, self.brief))

    @signed_in
    async def restore_brief(self, caller: Caller, form: dict[str, Any]) -> None:
        """Show what the browser kept where this tab knows nothing of it: after a new sign-in or a restart."""
        await self._offer(caller)
        typed = fitted_brief(typed_brief(completed_brief(form, self.brief)), self._offered)
        if typed != (self._typed or self.brief):
            self._typed = typed
            self._fill(typed)

    @property
    def _offered(self) -> list[str]:
        """The generator's IDs of the avatars to choose from."""
        return [avatar.generator_id for avatar in self.avatars]

    async def _offer(self, caller: Caller) -> None:
        """Show the avatars that there are now."""
        found = await run_in_db_pool(generation_avatars.list_avatars, caller)
        self.avatars = [Avatar.of(view) for view in found.avatars]
        self.has_own_avatars = not found.are_built_in

    def _fill(self, brief: dict[str, str]) -> None:
        self.brief = brief
        self.form_number += 1


# The script in the modal: kept as it is typed, and each part written anew if the person likes.


def script_storage_name(video_id: Any) -> str:
    return f"script/{video_id}"


class ScriptState(BriefState):
    script_id: str = ""  # of the video whose script may be changed
    parts: dict[str, str] = dict.fromkeys(PARTS, "")
    # A new number gives a part a new field, with the text that came from the server.
    part_numbers: dict[str, int] = dict.fromkeys(PARTS, 0)
    undo_labels: dict[str, str] = {}  # by part: to what was there before it was written anew, and forth again
    parts_notice: str = ""
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
            text = await self._answer_of(run_in_io_pool(scripts.compose_part, caller, script_id, part), wait)
        except WebhookError as error:
            async with self:
                self.errors = {part: error.public_message}
            return None
        async with self:
            if text is None or self._wait != wait:
                return None
            self._end_waiting()
            self._exchange(part, text)
            self.undo_labels = {**self.undo_labels, part: wording.UNDO}
            self.parts_notice = wording.REWRITTEN[part]
            return await self._save(caller, {part: text})

    @signed_in
    async def undo(self, caller: Caller, part: str) -> EventSpec | None:
        """Back to what the part was before it was written anew; once more, and it is as it was."""
        if part not in self._before:
            return None
        self._exchange(part, self._before[part])
        is_undone = self.undo_labels[part] == wording.UNDO
        self.undo_labels = {**self.undo_labels, part: wording.REDO if is_undone else wording.UNDO}
        self.parts_notice = ""
        return await self._save(caller, {part: self.parts[part]})

    def _show_script(self, script: ScriptView) -> None:
        self.script_id = script.video_id
        self.parts = {part: getattr(script, part) for part in PARTS}
        self.part_numbers = {part: number + 1 for part, number in self.part_numbers.items()}
        self.can_rewrite = bool(settings().script_webhook)
        self._before, self.undo_labels, self.parts_notice = {}, {}, ""
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
            await run_in_db_pool(scripts.update_draft, caller, self.script_id, parts)
        except InvalidInput as error:
            self.errors = error.fields  # without moving the focus of somebody who types
            return None
        self.errors = {}
        return rx.remove_local_storage(storage_key(self.email, script_storage_name(self.script_id)))


def typed_parts(form: Mapping[str, Any]) -> dict[str, str]:
    return {part: str(form.get(part, "")) for part in PARTS}


Stage = Literal["", "script", "working", "ready", "failed"]
STAGES: dict[str, Stage] = {
    "draft": "script",
    "processing": "working",
    "ready": "ready",
    "failed": "failed",
}
SCRIPT = "script"  # the wait for the first webhook


class CreateState(ScriptState):
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
        latest = await run_in_db_pool(scripts.latest, caller)
        self.brief = fitted_brief(self._typed, self._offered) if self._typed else shown(latest, self._offered)
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
            form = completed_brief(form, self.brief)
        try:
            composed = await self._answer_of(run_in_io_pool(scripts.compose, caller, wanted(form)), wait)
        except InvalidInput as error:
            raise InvalidInput(error.public_message, placed(error.fields, form)) from error
        if composed is None:
            return
        try:
            draft = await run_in_db_pool(scripts.save_draft, caller, composed)
            async with self:
                await self._open(caller, draft.video_id)
                self.errors = dict.fromkeys(scripts.missing_parts(composed), wording.LEFT_EMPTY)
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
        yield [self._forget(BRIEF_STORAGE_NAME), self._forget(script_storage_name(self.video.video_id))]

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
        self._show(await run_in_db_pool(pipeline.cancel, caller, self.video.video_id))
        await self._show_address(caller)

    @signed_in(beside="video")
    async def retry(self, caller: Caller) -> None:
        retried = await run_in_db_pool(pipeline.retry, caller, self.video.video_id, enqueue=worker.enqueue)
        self._show(retried)
        await self._show_budget(caller)

    @signed_in(beside="videoUrl")
    async def fetch(self, caller: Caller, form: dict[str, Any]) -> None:
        """Fetch it again, from another address if that was changed."""
        url = str(form.get("videoUrl", ""))
        fetched = await run_in_io_pool(
            pipeline.fetch_from_url, caller, self.video.video_id, url, enqueue=worker.enqueue
        )
        self._show(fetched)

    @signed_in(beside="video")
    async def regenerate(self, caller: Caller) -> None:
        """Order it again, although its file could be fetched again."""
        ordered = await run_in_db_pool(
            pipeline.retry, caller, self.video.video_id, "generation", enqueue=worker.enqueue
        )
        self._show(ordered)
        await self._show_budget(caller)

    @signed_in
    async def edit(self, caller: Caller) -> None:
        """Go back to the script of a video that failed."""
        if self.stage == "failed":
            self._show_script(await run_in_db_pool(scripts.read, caller, self.video.video_id))
            self.stage = "script"

    @signed_in
    async def again(self, caller: Caller, video_id: str) -> list[EventSpec]:
        """Start another video with all that this one began with."""
        await self._offer(caller)
        script = await run_in_db_pool(scripts.read, caller, video_id)
        self._typed = of(script.model_dump(), self._offered)
        self._fill(self._typed)
        self.stage = ""
        return [self._forget(BRIEF_STORAGE_NAME), rx.redirect(HOME)]

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """See whether the video that is watched has come to an end."""
        if self.stage != "working" and not (self.stage == "ready" and self.video.awaits_copy):
            return
        try:
            self._show(await run_in_db_pool(gallery.get, caller, self.video.video_id, links=False))
            await self._show_address(caller)
        except VideoNotFound:
            self.stage = ""
            self._say("This video has been deleted.")

    async def _request(self, caller: Caller, form: dict[str, Any]) -> None:
        video_id = self.video.video_id
        script = (await run_in_db_pool(scripts.read, caller, video_id)).model_dump() | typed_parts(form)
        self._show(await run_in_db_pool(orders.request, caller, script, video_id, enqueue=worker.enqueue))
        await self._show_budget(caller)
        self._typed = {}
        self._fill(of(script) | {"topic": ""})

    async def _open(self, caller: Caller, video_id: str) -> None:
        self.notice = ""
        self._show_script(await run_in_db_pool(scripts.read, caller, video_id))
        self.has_script = any(self.parts.values())
        self._show(await run_in_db_pool(gallery.get, caller, video_id, links=False))
        await self._show_address(caller)
        await self._show_budget(caller)

    async def _show_address(self, caller: Caller) -> None:
        """To its owner, or to the admin who opened it; see ``pipeline.source_address``."""
        if self.stage == "failed" and self.video.can_fetch:
            with suppress(Conflict):  # tried again elsewhere since it was read
                shown = await run_in_db_pool(pipeline.reveal_source_url, caller, self.video.video_id)
                self.address = shown.video_url

    async def _show_budget(self, caller: Caller) -> None:
        left = await run_in_db_pool(generation_budget.remaining, caller)
        self.budget = wording.budget(left.limit, left.left, left.left_in_total)

    def _show(self, video: VideoView) -> None:
        self.video, self.stage, self.address = Card.of(video), STAGES[video.status], ""
        self.link_seconds = settings().download_url_seconds
        if self.stage != "script":
            self.script_id = ""
        self.errors = {}

    def _forget(self, name: str) -> EventSpec:
        """What the browser kept in case it would not get here."""
        return rx.remove_local_storage(storage_key(self.email, name))
