"""Calls that make a video: performed once per Idempotency-Key, and waiting as long as the Prefer header asks."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.request import parse_http_list

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, StringConstraints
from starlette.concurrency import run_in_threadpool

from videovault import untrusted_json
from videovault.api import responses
from videovault.api.auth import SignedInCaller
from videovault.api.responses import Responses, Success, failures
from videovault.api.schemas import Body
from videovault.api.video_watcher import VideoWatcher
from videovault.errors import Conflict, VideoNotFound, VideoVaultError
from videovault.models import Status
from videovault.services.core import idempotency
from videovault.services.core.idempotency import Answer, Call, Claim

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
class LongTask:
    """What a call does; ``start`` and ``answer`` run in threads.

    ``start`` returns the id of the video, which is awaited while it has one of the ``busy`` statuses, for at most
    ``max_seconds``. ``answer`` returns the result, or a 202 if the video is still being made.
    """

    endpoint: str
    start: Callable[[Claim | None], str]
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
            await run_in_threadpool(idempotency.release, claim)
            raise

    async def _perform(self, task: LongTask, claim: Claim | None) -> Response:
        video_id = claim.video_id if claim else ""
        if not video_id:
            video_id = await run_in_threadpool(task.start, claim)
        responses.set_video_id(self._request, video_id)
        seconds = self._preferences.seconds(task.max_seconds)
        holder = claim.holder if claim else ""
        is_connected = await self._watcher.wait(self._request, video_id, task.busy, seconds, holder)
        response = await run_in_threadpool(self._respond, task, video_id)
        if claim and is_connected:
            answer = Answer(response.status_code, bytes(response.body).decode())
            await run_in_threadpool(idempotency.finish, claim, video_id, answer)
        elif claim:  # the caller has not seen the response, and may wait again under the same key
            await run_in_threadpool(idempotency.release, claim)
        return response

    def _respond(self, task: LongTask, video_id: str) -> Response:
        """A failed video is a response too: it exists, and must not be made again for the same key."""
        try:
            status, success = task.answer(video_id)
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


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _former_fingerprint(endpoint: str, sent: Mapping[str, Any]) -> str:
    fields = {ours: sent.get(theirs) for ours, theirs in FORMER_FIELDS[endpoint].items()}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _json(status: int, body: str, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, media_type=JSONResponse.media_type)
