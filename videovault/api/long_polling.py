"""Calls that make a video: performed once per Idempotency-Key, and waiting as long as the Prefer header asks.

They wait without a thread per caller: one task polls all awaited videos in one query.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.request import parse_http_list

import anyio
from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, StringConstraints
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from videovault import errors, logs, untrusted_json
from videovault.api import responses
from videovault.api.auth import SignedInCaller
from videovault.api.responses import Responses, Success, failures
from videovault.api.schemas import Body
from videovault.db import is_unavailable
from videovault.errors import Conflict, VideoNotFound, VideoVaultError
from videovault.models import Status
from videovault.services.core import idempotency
from videovault.services.core.idempotency import Answer, Call, Claim
from videovault.services.core.views import Failure
from videovault.services.videos import gallery

MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.1, 0.5  # the interval starts again at the minimum with each new caller
RENEW_SECONDS = 5.0
FAILURE_ERRORS: dict[str, Callable[[str], VideoVaultError]] = {
    kind.code: kind
    for kind in (
        errors.DiskFull,
        errors.QuotaExceeded,
        errors.SourceError,
        errors.StorageError,
        errors.TooLarge,
        errors.UnsafeUrl,
        errors.WebhookError,
    )
} | {"CANCELLED": errors.Conflict}

REPLAYED = "Idempotency-Replayed"
APPLIED = "Preference-Applied"
# Until the JSON itself was fingerprinted, these fields were, by these names and in this order. Keys from that time are
# valid for a day; do not change the table together with the models.
FORMER_FIELDS = {
    "generate-video": {
        "hook": "hook",
        "body": "body",
        "conclusion": "conclusion",
        "company_name": "company_name",
        "social_handles": "social_handles",
        "license": "license",
        "avatar": "avatar",
        "email": "email",
        "video_id": "videoId",
    },
    "download": {"video_url": "videoUrl", "user_email": "userEmail", "title": "title"},
}

log = logs.get(__name__)


@dataclass(frozen=True)
class Preferences:
    """The Prefer header (RFC 7240); ``wait`` is in seconds. ``respond_async`` without it means: do not wait."""

    respond_async: bool = False
    wait: int | None = None

    def seconds(self, max_seconds: float) -> float:
        """How long to wait, at most the ``max_seconds`` that the server waits by default."""
        if self.wait is not None:
            return min(self.wait, max_seconds)
        return 0.0 if self.respond_async else max_seconds

    def applied(self, status: int, max_seconds: float) -> str:
        """The Preference-Applied header of a response with this status; empty if no preference was followed."""
        followed = {
            "respond-async": self.respond_async and status == 202,
            f"wait={self.wait}": self.wait is not None and self.wait <= max_seconds,
        }
        return ", ".join(name for name, is_followed in followed.items() if is_followed)


def parse_prefer(headers: Sequence[str]) -> Preferences:
    """Unknown and malformed preferences are ignored, and the first of a repeated one counts (RFC 7240, 2)."""
    given: dict[str, str] = {}
    for item in parse_http_list(", ".join(headers)):
        name, _, value = item.partition(";")[0].partition("=")
        given.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = given.get("wait", "")
    is_number = wait.isascii() and wait.isdecimal() and len(wait) <= 9
    return Preferences("respond-async" in given, int(wait) if is_number else None)


def _preferences(
    prefer: Annotated[
        list[str] | None,
        Header(
            description="`respond-async`: answer 202 at once. `wait=10`: answer 202 after that many seconds, "
            "at most as many as the server waits by default."
        ),
    ] = None,
) -> Preferences:
    return parse_prefer(prefer or [])


def _check_printable(key: str) -> str:
    if not (key.isascii() and key.isprintable()):
        raise ValueError("An idempotency key consists of printable ASCII characters.")
    return key


IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_check_printable)] | None,
    Header(
        alias="Idempotency-Key",
        description="Printable ASCII, new for each request. For 24 hours the same JSON under the same key gets "
        "the same response and does nothing; 409 while the first call is running; 400 for another request.",
    ),
]


@dataclass(frozen=True)
class Started:
    """A video that is being made; ``accepted`` is the body of the 202."""

    video_id: str
    accepted: Success[Any]


@dataclass(frozen=True)
class LongTask:
    """What a call does; ``start`` and ``answer`` run in threads.

    The video that ``start`` returns is awaited while it has one of the ``busy`` statuses, for at most ``max_seconds``.
    ``answer`` returns the result, or a 202 if the video is still being made.
    """

    endpoint: str
    start: Callable[[Claim | None], Started]
    busy: Collection[Status]
    max_seconds: float
    answer: Callable[[str], tuple[int, Success[Any]]]


class LongCall:
    """A dependency of the routes that make videos."""

    def __init__(
        self,
        request: Request,
        caller: SignedInCaller,
        preferences: Annotated[Preferences, Depends(_preferences)],
        idempotency_key: IdempotencyKey = None,
    ) -> None:
        self.caller = caller
        self._request = request
        self._preferences = preferences
        self._key = idempotency_key
        self._watcher: VideoWatcher = request.app.state.watcher

    async def run(self, body: Body, task: LongTask) -> Response:
        """Perform the task, or repeat the response of an earlier call under the same key."""
        responses.set_video_id(self._request, getattr(body, "video_id", None))
        if self._key is None:
            return await self._perform(task, None)
        sent = untrusted_json.loads(await self._request.body())
        call = Call(
            self.caller.user_id,
            task.endpoint,
            self._key,
            request=json.dumps(sent, sort_keys=True, separators=(",", ":")),
            former=_former_fingerprint(task.endpoint, sent),
        )
        claim = await run_in_threadpool(idempotency.begin, call)
        if isinstance(claim, Answer):
            return _json(claim.status, claim.body, {REPLAYED: "true"})
        try:
            return await self._perform(task, claim)
        except Exception:
            await _end(idempotency.release, claim)
            raise

    async def _perform(self, task: LongTask, claim: Claim | None) -> Response:
        accepted: Success[Any] | None = None
        video_id = claim.video_id if claim else ""
        if not video_id:
            started = await run_in_threadpool(task.start, claim)
            video_id, accepted = started.video_id, started.accepted
        responses.set_video_id(self._request, video_id)
        seconds = self._preferences.seconds(task.max_seconds)
        holder = claim.holder if claim else ""
        is_connected = await self._watcher.wait(self._request, video_id, task.busy, seconds, holder)
        response = await run_in_threadpool(self._respond, task, video_id, accepted)
        if claim and is_connected:
            answer = Answer(response.status_code, bytes(response.body).decode())
            await _end(idempotency.finish, claim, video_id, answer)
        elif claim:  # the caller has not seen the response, and may wait again under the same key
            await _end(idempotency.release, claim)
        return response

    def _respond(self, task: LongTask, video_id: str, accepted: Success[Any] | None) -> Response:
        """A failed video is a response too: it exists, and must not be made again for the same key.

        While the database does not answer, a video that this call has started is ``accepted``.
        """
        try:
            status, success = task.answer(video_id)
        except SQLAlchemyError as error:
            if accepted is None or not is_unavailable(error):
                raise
            log.warning("the database does not answer, accepted", reason=type(error).__name__)
            status, success = 202, accepted
        except VideoNotFound:
            return responses.on_error(self._request, Conflict("This video was deleted meanwhile."))
        except VideoVaultError as error:
            return responses.on_error(self._request, error)
        applied = self._preferences.applied(status, task.max_seconds)
        return _json(status, success.model_dump_json(by_alias=True), {APPLIED: applied} if applied else {})


Waiting = Annotated[LongCall, Depends()]


def long_call_responses(in_progress: type[Success[Any]], description: str, *statuses: int) -> Responses:
    """OpenAPI's description of a long call's responses, except the model of 200."""
    replayed = _header("`true` when this is the response to an earlier call under the same key")
    headers = {REPLAYED: replayed, APPLIED: _header("Which preferences were followed (RFC 7240)")}
    described = failures(400, 401, 403, 404, 409, 429, *statuses)
    retry_after = "Seconds, while the first call under this key is running"
    described[409]["headers"] = {"Retry-After": _header(retry_after)}
    return {
        **described,
        200: {"headers": headers},
        202: {"model": in_progress, "description": description, "headers": headers},
    }


def failure_error(failure: Failure | None, default: Callable[[str], VideoVaultError]) -> VideoVaultError:
    """The error for a video that failed while its caller waited."""
    if failure is None:
        return default("It failed.")
    return FAILURE_ERRORS.get(failure.code, default)(failure.message)


@dataclass(frozen=True, eq=False)
class _Waiter:
    video_id: str
    busy: Collection[Status]
    holder: str
    done: asyncio.Future[None]

    def end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class VideoWatcher:
    """The callers of this process that wait for a video, and the task that polls while there are any."""

    def __init__(self) -> None:
        self._waiters: set[_Waiter] = set()
        self._task: asyncio.Task[None] | None = None
        self._poll_seconds = MIN_POLL_SECONDS
        self._renewed_at = 0.0
        self._is_closed = False
        # A thread of its own, which slow calls cannot occupy.
        self._thread = anyio.CapacityLimiter(1)

    async def wait(
        self, request: Request, video_id: str, busy: Collection[Status], seconds: float, holder: str = ""
    ) -> bool:
        """Wait until the video is gone or has none of the ``busy`` statuses, the time is up, or the server stops.

        The idempotency key's lease of ``holder`` is renewed meanwhile. Returns False if the caller disconnected.
        """
        if seconds <= 0 or self._is_closed:
            return True
        waiter = _Waiter(video_id, busy, holder, asyncio.get_running_loop().create_future())
        disconnect = asyncio.create_task(_disconnect(request))
        self._add(waiter)
        try:
            await asyncio.wait(
                {waiter.done, disconnect}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return not disconnect.done()
        finally:
            self._waiters.discard(waiter)
            disconnect.cancel()

    def close(self) -> None:
        """End all waits and refuse new ones: the server is stopping."""
        self._is_closed = True
        for waiter in self._waiters:
            waiter.end()

    def _add(self, waiter: _Waiter) -> None:
        self._waiters.add(waiter)
        self._poll_seconds = MIN_POLL_SECONDS
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="poll awaited videos")

    async def _run(self) -> None:
        while self._waiters:
            await asyncio.sleep(self._poll_seconds)
            self._poll_seconds = min(self._poll_seconds * 1.5, MAX_POLL_SECONDS)
            if not self._waiters:
                return
            try:
                await self._poll()
                await self._renew()
            except Exception:  # a short outage of the database must not cost the callers their responses
                log.exception("polling awaited videos failed, trying again")

    async def _poll(self) -> None:
        waiters = [*self._waiters]  # the query does not cover those that come while it runs
        video_ids = {waiter.video_id for waiter in waiters}
        statuses = await anyio.to_thread.run_sync(gallery.statuses, video_ids, limiter=self._thread)
        for waiter in waiters:
            if statuses.get(waiter.video_id) not in waiter.busy:
                waiter.end()

    async def _renew(self) -> None:
        holders = {waiter.holder for waiter in self._waiters} - {""}
        if holders and time.monotonic() - self._renewed_at > RENEW_SECONDS:
            await anyio.to_thread.run_sync(idempotency.renew, holders, limiter=self._thread)
            self._renewed_at = time.monotonic()


async def _end(end: Callable[..., object], *arguments: Any) -> None:
    """End an idempotent call. The caller gets its response without that too: the claim expires."""
    try:
        await run_in_threadpool(end, *arguments)
    except SQLAlchemyError as error:
        log.warning("idempotency key not released yet", reason=type(error).__name__)


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _former_fingerprint(endpoint: str, sent: Mapping[str, Any]) -> str:
    fields = {ours: sent.get(theirs) for ours, theirs in FORMER_FIELDS[endpoint].items()}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _json(status: int, body: str, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, media_type=JSONResponse.media_type)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
