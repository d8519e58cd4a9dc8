"""Calls that make a video: done once for an Idempotency-Key, and waited for as Prefer says."""

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
from videovault.api.responses import Responses, Success
from videovault.api.responses import failures as responses_failures
from videovault.api.schemas import Body
from videovault.api.video_watcher import VideoWatcher
from videovault.errors import Conflict, VideoNotFound, VideoVaultError
from videovault.models import Status
from videovault.services.core import idempotency
from videovault.services.core.idempotency import Answer, Call, Claim

# How long a caller wants to be kept waiting: the Prefer header of RFC 7240.

SHOWN = "Which preferences were followed, as RFC 7240 has it"


@dataclass(frozen=True)
class Preferences:
    """``respond_async`` without ``wait`` (seconds): answer at once."""

    respond_async: bool = False
    wait: int | None = None

    def seconds(self, longest: float) -> float:
        """How long to wait, where the server itself would wait for ``longest`` seconds."""
        if self.wait is not None:
            return min(self.wait, longest)
        return 0.0 if self.respond_async else longest

    def applied(self, status: int, longest: float) -> str:
        """Preference-Applied of an answer with this status; empty if none was."""
        followed = {
            "respond-async": self.respond_async and status == 202,
            f"wait={self.wait}": self.wait is not None and self.wait <= longest,
        }
        return ", ".join(name for name, was in followed.items() if was)


def parse_prefer(headers: Sequence[str]) -> Preferences:
    """Unknown and malformed preferences are ignored, and of one that is named twice the first counts (RFC 7240, 2)."""
    named: dict[str, str] = {}
    for item in parse_http_list(", ".join(headers)):
        name, _, value = item.partition(";")[0].partition("=")
        named.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = named.get("wait", "")
    is_number = wait.isascii() and wait.isdecimal() and len(wait) <= 9
    return Preferences("respond-async" in named, int(wait) if is_number else None)


def _preferences(
    prefer: Annotated[
        list[str] | None,
        Header(
            description="`respond-async`: answer 202 at once. `wait=10`: answer 202 after so many seconds, "
            "at most as many as the server waits by itself."
        ),
    ] = None,
) -> Preferences:
    return parse_prefer(prefer or [])


Preferred = Annotated[Preferences, Depends(_preferences)]


# Before the JSON itself was fingerprinted it was these fields, by these names and in this order. Keys of that time are
# good for a day; the table is not to be changed with the models.
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
REPLAYED = "Idempotency-Replayed"
APPLIED = "Preference-Applied"


def _printable(key: str) -> str:
    if not (key.isascii() and key.isprintable()):
        raise ValueError("An idempotency key is made of printable ASCII characters.")
    return key


Key = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)] | None,
    Header(
        alias="Idempotency-Key",
        description="Printable ASCII, new for each request. For 24 hours the same JSON under the same key is "
        "answered as before and does nothing; 409 while the first is running; 400 for another request.",
    ),
]


@dataclass(frozen=True)
class LongTask:
    """What a call does. ``start`` and ``answer`` are run in threads.

    ``start`` gives the id of its video, which is waited for while it is ``busy``, for at most ``longest``
    seconds; ``answer`` says what has become of it, or that it is 202: still in work.
    """

    endpoint: str
    start: Callable[[Claim | None], str]
    busy: Collection[Status]
    longest: float
    answer: Callable[[str], tuple[int, Success[Any]]]


class LongCall:
    """A dependency of the routes that make videos."""

    def __init__(
        self, request: Request, caller: SignedInCaller, prefer: Preferred, idempotency_key: Key = None
    ) -> None:
        self.caller = caller
        self._request = request
        self._prefer = prefer
        self._key = idempotency_key
        self._watch: VideoWatcher = request.app.state.watch

    async def carry_out(self, body: Body, work: LongTask) -> Response:
        """The answer to this call: as before where its key is known, else as the work goes."""
        responses.set_video_id(self._request, getattr(body, "video_id", None))
        if self._key is None:
            return await self._carry_on(work, None)
        sent = untrusted_json.loads(await self._request.body())
        call = Call(
            self.caller.user_id,
            work.endpoint,
            self._key,
            request=json.dumps(sent, sort_keys=True, separators=(",", ":")),
            former=_former(work.endpoint, sent),
        )
        begun = await run_in_threadpool(idempotency.begin, call)
        if isinstance(begun, Answer):
            return _json(begun.status, begun.body, {REPLAYED: "true"})
        try:
            return await self._carry_on(work, begun)
        except Exception:
            await run_in_threadpool(idempotency.release, begun)
            raise

    async def _carry_on(self, work: LongTask, claim: Claim | None) -> Response:
        video_id = claim.video_id if claim else ""
        if not video_id:
            video_id = await run_in_threadpool(work.start, claim)
        responses.set_video_id(self._request, video_id)
        seconds = self._prefer.seconds(work.longest)
        holder = claim.holder if claim else ""
        listens = await self._watch.until(self._request, video_id, work.busy, seconds, holder)
        response = await run_in_threadpool(self._answer, work, video_id)
        if claim and listens:
            said = Answer(response.status_code, bytes(response.body).decode())
            await run_in_threadpool(idempotency.finish, claim, video_id, said)
        elif claim:  # whoever hung up has no answer yet, and may come back to wait for it
            await run_in_threadpool(idempotency.release, claim)
        return response

    def _answer(self, work: LongTask, video_id: str) -> Response:
        """A failure is an answer, too: the video is there, and is not to be made twice for it."""
        try:
            status, said = work.answer(video_id)
        except VideoNotFound:
            return responses.on_error(self._request, Conflict("This video was deleted meanwhile."))
        except VideoVaultError as error:
            return responses.on_error(self._request, error)
        applied = self._prefer.applied(status, work.longest)
        return _json(status, said.model_dump_json(by_alias=True), {APPLIED: applied} if applied else {})


Waiting = Annotated[LongCall, Depends()]


def promises(still_working: type[Success[Any]], description: str, *failures: int) -> Responses:
    """OpenAPI's words for what a long call answers beside 200 with its model."""
    replayed = _header("`true` when this is the answer to an earlier call under the same key")
    headers = {REPLAYED: replayed, APPLIED: _header(SHOWN)}
    said = responses_failures(400, 401, 403, 404, 409, 429, *failures)
    said[409]["headers"] = {"Retry-After": _header("Seconds, while the first call under this key is running")}
    return {
        **said,
        200: {"headers": headers},
        202: {"model": still_working, "description": description, "headers": headers},
    }


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _former(endpoint: str, sent: Mapping[str, Any]) -> str:
    fields = {ours: sent.get(theirs) for ours, theirs in FORMER_FIELDS[endpoint].items()}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _json(status: int, body: str, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, media_type=JSONResponse.media_type)
