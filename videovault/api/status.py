"""Reports on a video's status, each kept for the callback inbox whatever becomes of it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from videovault.api import auth
from videovault.api.answers import status_of
from videovault.api.envelope import Success, failing
from videovault.api.proxies import client_address
from videovault.api.schemas import MetadataBody, StatusBody
from videovault.errors import VideoVaultError
from videovault.services import callbacks, recording
from videovault.services.callbacks import Report, Taken
from videovault.services.recording import Incoming, Verdict
from videovault.services.views import Metadata, VideoView
from videovault.worker import enqueue

UNCHANGED: dict[Verdict, str] = {
    "duplicate": "Nothing was left to change.",
    "superseded": "The script has been changed since this was ordered, or the video was ordered again.",
}


class KeptRoute(APIRoute):
    """Sees each call as it came, the ones that are refused before they are understood too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def kept(request: Request) -> Response:
            body = await request.body()
            try:
                answer = await handle(request)
            except Exception as error:
                await run_in_threadpool(_keep_refused, request, body, error)
                raise
            await run_in_threadpool(recording.incoming, _taken(request, body, answer.status_code))
            return answer

        return kept


router = APIRouter(prefix="/api/auth/video", tags=["Videos"], route_class=KeptRoute)


@router.put(
    "/status",
    response_model_exclude_none=True,
    responses={
        202: {"model": Success[VideoView], "description": "Storing has begun"},
        **failing(400, 401, 403, 404, 409, 429),
    },
)
def update_status(
    request: Request, response: Response, body: StatusBody, token: auth.Token, signed: auth.Signed
) -> Success[VideoView]:
    """Report on a video: its owner, an admin, or its generator by the callback token it was given.

    With WEBHOOK_SECRET set, a call may carry Standard Webhooks headers: a wrong or old signature is refused, and a
    good one is enough without a token. The same `webhook-id` once more changes nothing.
    """
    caller = auth.reporter(request, token, body.video_id, signed=signed)
    request.state.reporter = (caller, body.video_id)
    said = Report(
        user_id=body.user_id,
        video_id=body.video_id,
        status=body.status,
        video_url=body.video_url or "",
        metadata=Metadata(**(body.metadata or MetadataBody()).model_dump()),
        error=body.error or "",
    )
    taken = callbacks.take(caller, said, enqueue=enqueue)
    request.state.taken = taken
    if body.status == "ready" and taken.video.status == "processing" and not taken.superseded:
        response.status_code = 202
    return Success(message="Video status updated successfully", data=taken.video)


def _taken(request: Request, body: bytes, http_status: int) -> Incoming:
    taken = request.state.taken
    verdict = _verdict(taken)
    caller, video_id = request.state.reporter
    return Incoming(
        kind="status",
        headers=request.headers,
        body=body,
        verdict=verdict,
        http_status=http_status,
        why=UNCHANGED.get(verdict, ""),
        outcome=taken.status,
        # A copy of a signed call proves nothing and must not push others out of the video's history.
        caller=None if taken.replayed else caller,
        video_id=video_id,
        address=client_address(request.scope),
    )


def _verdict(taken: Taken) -> Verdict:
    if taken.superseded:
        return "superseded"
    return "accepted" if taken.changed else "duplicate"


def _keep_refused(request: Request, body: bytes, error: Exception) -> None:
    http_status, why = 500, "A fault of ours; the log tells more."
    if isinstance(error, VideoVaultError):
        http_status, why = status_of(error), error.public_message
    elif isinstance(error, RequestValidationError):
        http_status, why = 400, "A field is missing or wrong."
    elif isinstance(error, HTTPException):
        http_status, why = error.status_code, str(error.detail)
    reporter = getattr(request.state, "reporter", None) or auth.misreporter(request, body)
    caller, video_id = reporter or (None, "")
    recording.incoming(
        Incoming(
            kind="status",
            headers=request.headers,
            body=body,
            verdict="refused",
            http_status=http_status,
            why=why,
            caller=caller,
            video_id=video_id,
            address=client_address(request.scope),
        )
    )
