"""Reports on a video's status, at a documented address or at a ``reportUrl``. Each call is added to the webhook log."""

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
from videovault.api.middleware.hosts import limit_key
from videovault.api.responses import Success, failures, set_video_id, status_of
from videovault.api.schemas import STATUS_BODY
from videovault.db import is_unavailable
from videovault.errors import InvalidInput, UnreadableReport, VideoVaultError
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
UNREADABLE = "This report was not understood. {} See docs/connect/answers.md for what is read."
INVALID_ID = "This field is missing, or not a valid id."
TEST_ORDER_REPORTED = "The report on the test order was received."


class LoggedRoute(APIRoute):
    """Adds each call to the webhook log, including those that are refused before they are parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def logged(request: Request) -> Response:
            body = await request.body()
            try:
                response = await handle(request)
            except Exception as error:
                await run_in_threadpool(_log_refused, request, body, error)
                raise
            if hasattr(request.state, "outcome"):  # else it was for a test order, which keeps its own log
                await run_in_threadpool(_log_applied, request, body, response.status_code)
            return response

        return logged


status_router = APIRouter(prefix="/api/auth/video", tags=["Videos"], route_class=LoggedRoute)
_status_route: Any = {
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


@status_router.put("/status", **_status_route)
@status_router.post("/status", **_status_route)
@status_router.put("/status/", include_in_schema=False, **_status_route)
@status_router.post("/status/", include_in_schema=False, **_status_route)
def update_status(
    request: Request, response: Response, body: RawBody, token: auth.Token, is_signed: auth.IsSigned
) -> Any:
    """Report on a video: by its owner, an admin, or its generator with the callback token of the order.

    The body is read as leniently as a generator's answer. With WEBHOOK_SECRET set, a call may have Standard Webhooks
    headers: a wrong or old signature is refused, and a valid one is enough without a token. A repeated `webhook-id`
    changes nothing.
    """
    # Before the body, because parsing a large one is expensive.
    reporter_id = auth.identify_reporter(request, token, is_signed=is_signed)
    parsed = callbacks.parse_report(body, request.headers.get("content-type", ""), sender=reporter_id)
    if test_order.report(token, body, parsed):
        return JSONResponse({"success": True, "message": TEST_ORDER_REPORTED})
    video_id = callbacks.video_id_of(parsed, token)
    set_video_id(request, video_id)
    caller = auth.authenticate_reporter(request, token, video_id, is_signed=is_signed)
    owner_id = callbacks.owner_id_of(parsed, caller)
    ids = {"userId": owner_id, "videoId": video_id}
    invalid = {name: INVALID_ID for name, value in ids.items() if not value}
    if invalid:
        raise InvalidInput("Please check the marked fields.", invalid)
    request.state.reporter = (caller, video_id)
    if parsed.state == "unread" and not caller.is_generator:
        message = UNREADABLE.format(parsed.message)
        raise InvalidInput(message, {"status": message})
    outcome = callbacks.apply(caller, Report.of(parsed, user_id=owner_id, video_id=video_id), enqueue=enqueue)
    if parsed.state == "unread" and not outcome.superseded:
        raise UnreadableReport(UNREADABLE.format(parsed.message))
    request.state.outcome = outcome
    if parsed.state == "ready" and outcome.video.status == "processing" and not outcome.superseded:
        response.status_code = 202
    return Success(message="Video status updated successfully", data=outcome.video)


report_url_router = APIRouter(prefix="/api/callback", tags=["Videos"], route_class=LoggedRoute)
ReportToken = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_.-]{1,1000}$", description="The end of the order's `reportUrl`.")
]


class ReportedView(View):
    """The video that was reported on, without anything that gives access to it."""

    video_id: str
    status: PublicStatus


@report_url_router.post("/{token}/", include_in_schema=False)
@report_url_router.put("/{token}/", include_in_schema=False)
@report_url_router.post("/{token}", operation_id="report_by_post", responses=failures(400, 404, 429))
@report_url_router.put("/{token}", operation_id="report_by_put", responses=failures(400, 404, 429))
def report(request: Request, token: ReportToken, body: RawBody) -> Success[ReportedView]:
    """Report on the order that this address was sent with, in the service's own words.

    POST and PUT are equivalent. No header, cookie or documented body is needed. A repeated or late report gets the
    same response as the first. An address that is wrong or expired, or whose video is deleted, is 404.
    """
    auth.log_identity(request, "report address")
    video_id = callbacks.video_id_of_report_url(
        token
    )  # before the body, because parsing a large one is expensive
    parsed = callbacks.parse_report(body, request.headers.get("content-type", ""), sender=video_id)
    if test_order.report(token, body, parsed):
        view = ReportedView(video_id=video_id, status="processing")
        return Success(message=TEST_ORDER_REPORTED, data=view)
    caller = callbacks.generator_caller(token, video_id)
    request.state.reporter = (caller, video_id)
    outcome, request.state.unreadable = callbacks.apply_leniently(caller, video_id, parsed, enqueue=enqueue)
    request.state.outcome = outcome
    return Success(
        message="Report received", data=ReportedView(video_id=video_id, status=outcome.video.status)
    )


def _log_applied(request: Request, body: bytes, http_status: int) -> None:
    outcome: ReportOutcome = request.state.outcome
    unreadable = getattr(request.state, "unreadable", "")
    verdict: Verdict = "accepted" if outcome.changed else "duplicate"
    if outcome.superseded:
        verdict = "superseded"
    if unreadable:
        verdict = "unread"
    caller, video_id = request.state.reporter
    webhook_log.record_incoming(
        IncomingCall(
            kind="status",
            headers=request.headers,
            body=body,
            verdict=verdict,
            http_status=http_status,
            why=unreadable or UNCHANGED.get(verdict, ""),
            outcome=outcome.status,
            # A copy of a signed call proves nothing, and must not push other calls out of the video's history.
            caller=None if outcome.replayed else caller,
            video_id=video_id,
            address=limit_key(request.scope),
        )
    )


def _log_refused(request: Request, body: bytes, error: Exception) -> None:
    if is_unavailable(error):
        return  # the log is in the same database
    http_status, why = 500, "Internal error. See the log."
    if isinstance(error, VideoVaultError):
        http_status, why = status_of(error), error.public_message
    elif isinstance(error, RequestValidationError):
        http_status, why = 400, "A field is missing or wrong."
    elif isinstance(error, HTTPException):
        http_status, why = error.status_code, str(error.detail)
    reporter: tuple[Caller, str] | None = getattr(request.state, "reporter", None)
    caller, video_id = reporter or auth.reporter_of_refused(request, body) or (None, "")
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
            address=limit_key(request.scope),
        )
    )
