"""Reports on a video's status, each kept for the callback inbox whatever becomes of it."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from videovault.api import auth
from videovault.api.middleware.body_limit import RawBody
from videovault.api.middleware.forwarded import client_address
from videovault.api.responses import Success, failures, set_video_id, status_of
from videovault.api.schemas import STATUS_BODY
from videovault.errors import InvalidInput, UnreadableReport, VideoVaultError
from videovault.gateways.webhook_reply import VideoReply
from videovault.services.admin import test_order
from videovault.services.core.access import Caller
from videovault.services.core.views import PublicStatus, VideoView, View
from videovault.services.generation import callbacks, webhook_log
from videovault.services.generation.callbacks import Report, ReportOutcome
from videovault.services.generation.webhook_log import IncomingCall, Verdict
from videovault.worker import enqueue

UNCHANGED: dict[Verdict, str] = {
    "duplicate": "Nothing was left to change.",
    "superseded": "The script has been changed since this was ordered, or the video was ordered again.",
}


UNREAD = "This report was not understood. {} See docs/connect/answers.md for what is read."
NO_ID = "This field is missing, or not an id that was given out here."


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
            if hasattr(request.state, "taken"):  # else it was on a test order, which keeps it itself
                await run_in_threadpool(
                    webhook_log.record_incoming, _taken(request, body, answer.status_code)
                )
            return answer

        return kept


status_router = APIRouter(prefix="/api/auth/video", tags=["Videos"], route_class=KeptRoute)


_described: Any = {
    "response_model": Success[VideoView],
    "response_model_exclude_none": True,
    "responses": {
        202: {"model": Success[VideoView], "description": "Storing has begun"},
        **failures(400, 401, 403, 404, 409, 429),
    },
    "openapi_extra": {
        "requestBody": {"required": True, "content": {"application/json": {"schema": STATUS_BODY}}}
    },
}


@status_router.put("/status", **_described)
@status_router.post("/status", **_described)
@status_router.put("/status/", include_in_schema=False, **_described)
@status_router.post("/status/", include_in_schema=False, **_described)
def update_status(
    request: Request, response: Response, body: RawBody, token: auth.Token, signed: auth.Signed
) -> Any:
    """Report on a video: its owner, an admin, or its generator by the callback token it was given.

    The body is read as leniently as a generator's answer. With WEBHOOK_SECRET set, a call may carry Standard Webhooks
    headers: a wrong or old signature is refused, and a good one is enough without a token. The same `webhook-id` once
    more changes nothing.
    """
    # Reading a large body costs more than strangers may spend.
    sender = auth.check_credentials(request, token, signed=signed)
    said = callbacks.parse_report(body, request.headers.get("content-type", ""), sender=sender)
    if test_order.report(token, body, said):
        return JSONResponse({"success": True, "message": "The report on the test order was received."})
    caller, video_id, user_id = _subject(request, said, token, signed=signed)
    if said.state == "unread" and not caller.is_generator:
        raise InvalidInput(UNREAD.format(said.message), {"status": UNREAD.format(said.message)})
    taken = callbacks.apply(caller, Report.of(said, user_id=user_id, video_id=video_id), enqueue=enqueue)
    if said.state == "unread" and not taken.superseded:
        raise UnreadableReport(UNREAD.format(said.message))
    request.state.taken = taken
    if said.state == "ready" and taken.video.status == "processing" and not taken.superseded:
        response.status_code = 202
    return Success(message="Video status updated successfully", data=taken.video)


def _subject(request: Request, said: VideoReply, token: str, *, signed: bool) -> tuple[Caller, str, str]:
    """Who reports, on which video, and whose it is. Raises InvalidInput where a person leaves that out."""
    video_id = callbacks.video_id_of(said, token)
    set_video_id(request, video_id)
    caller = auth.authenticate_reporter(request, token, video_id, signed=signed)
    user_id = callbacks.owner_id_of(said, caller)
    missing = {name: NO_ID for name, value in {"userId": user_id, "videoId": video_id}.items() if not value}
    if missing:
        raise InvalidInput("Please check the marked fields.", missing)
    request.state.reporter = (caller, video_id)
    return caller, video_id, user_id


def _taken(request: Request, body: bytes, http_status: int) -> IncomingCall:
    taken = request.state.taken
    unread = getattr(request.state, "unread", "")
    verdict: Verdict = "unread" if unread else _verdict(taken)
    caller, video_id = request.state.reporter
    return IncomingCall(
        kind="status",
        headers=request.headers,
        body=body,
        verdict=verdict,
        http_status=http_status,
        why=unread or UNCHANGED.get(verdict, ""),
        outcome=taken.status,
        # A copy of a signed call proves nothing and must not push others out of the video's history.
        caller=None if taken.replayed else caller,
        video_id=video_id,
        address=client_address(request.scope),
    )


def _verdict(taken: ReportOutcome) -> Verdict:
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
    reporter = getattr(request.state, "reporter", None) or auth.refused_reporter(request, body)
    caller, video_id = reporter or (None, "")
    webhook_log.record_incoming(
        IncomingCall(
            kind="status",
            headers=request.headers,
            body=body,
            verdict="unread" if isinstance(error, UnreadableReport) else "refused",
            http_status=http_status,
            why=why,
            caller=caller,
            video_id=video_id,
            address=client_address(request.scope),
        )
    )


# Reports at a ``reportUrl``: the address itself is the permission, for services whose webhook has a fixed body.

callback_router = APIRouter(prefix="/api/callback", tags=["Videos"], route_class=KeptRoute)
Token = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_.-]{1,1000}$", description="What `reportUrl` of the order ends with.")
]


class ReportedView(View):
    """The video that was reported on; nothing that opens it."""

    video_id: str
    status: PublicStatus


@callback_router.post("/{token}/", include_in_schema=False)
@callback_router.put("/{token}/", include_in_schema=False)
@callback_router.post("/{token}", operation_id="report_by_post", responses=failures(400, 404, 429))
@callback_router.put("/{token}", operation_id="report_by_put", responses=failures(400, 404, 429))
def report(request: Request, token: Token, body: RawBody) -> Success[ReportedView]:
    """Report on the one order that the address was sent with, in the service's own words.

    POST and PUT are equal. No header, cookie or documented body is needed, and a report that comes again or too late
    is answered as the first one was. An address that is wrong or has expired, or whose video is deleted, is 404.
    """
    auth.log_identity(request, "report address")
    video_id = callbacks.video_id_of_report_url(
        token
    )  # before the body, whose reading strangers must not cause
    said = callbacks.parse_report(body, request.headers.get("content-type", ""), sender=video_id)
    if test_order.report(token, body, said):
        now = ReportedView(video_id=video_id, status="processing")
        return Success(message="The report on the test order was received.", data=now)
    caller = callbacks.generator_caller(token, video_id)
    request.state.reporter = (caller, video_id)
    taken, request.state.unread = callbacks.apply_leniently(caller, video_id, said, enqueue=enqueue)
    request.state.taken = taken
    now = ReportedView(video_id=video_id, status=taken.video.status)
    return Success(message="Report received", data=now)
