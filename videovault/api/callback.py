"""Reports at a ``reportUrl``: the address itself is the permission, for services whose webhook has a fixed body."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from videovault.api import auth
from videovault.api.bodies import RawBody
from videovault.api.envelope import Success, failing
from videovault.api.status import KeptRoute
from videovault.services import callbacks, test_orders
from videovault.services.views import PublicStatus, View
from videovault.worker import enqueue

router = APIRouter(prefix="/api/callback", tags=["Videos"], route_class=KeptRoute)
Token = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_.-]{1,1000}$", description="What `reportUrl` of the order ends with.")
]


class ReportedView(View):
    """The video that was reported on; nothing that opens it."""

    video_id: str
    status: PublicStatus


@router.post("/{token}/", include_in_schema=False)
@router.put("/{token}/", include_in_schema=False)
@router.post("/{token}", operation_id="report_by_post", responses=failing(400, 404, 429))
@router.put("/{token}", operation_id="report_by_put", responses=failing(400, 404, 429))
def report(request: Request, token: Token, body: RawBody) -> Success[ReportedView]:
    """Report on the one order that the address was sent with, in the service's own words.

    POST and PUT are equal. No header, cookie or documented body is needed, and a report that comes again or too late
    is answered as the first one was. An address that is wrong or has expired, or whose video is deleted, is 404.
    """
    auth.note_identity(request, "report address")
    video_id = callbacks.video_at(token)  # before the body, whose reading strangers must not cause
    said = callbacks.understood(body, request.headers.get("content-type", ""), sender=video_id)
    if test_orders.report(token, body, said):
        now = ReportedView(video_id=video_id, status="processing")
        return Success(message="The report on the test order was received.", data=now)
    caller = callbacks.generator(token, video_id)
    request.state.reporter = (caller, video_id)
    taken, request.state.unread = callbacks.take_any(caller, video_id, said, enqueue=enqueue)
    request.state.taken = taken
    now = ReportedView(video_id=video_id, status=taken.video.status)
    return Success(message="Report received", data=now)
