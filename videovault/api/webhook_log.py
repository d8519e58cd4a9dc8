"""The log of webhook calls, and what admins can do for a video whose report was not understood or never came."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from videovault.api.auth import SignedInCaller
from videovault.api.responses import Success, failures
from videovault.api.schemas import AddressBody, FieldBody, Id, WebhookCallParams
from videovault.services.admin import rescue
from videovault.services.core.views import VideoView, View
from videovault.services.generation import webhook_log
from videovault.services.generation.result_field import VIDEO_RESULT_FIELD
from videovault.services.generation.webhook_log import WebhookCallsView
from videovault.worker import enqueue

router = APIRouter(prefix="/api/admin", tags=["Administration"])
CallId = Annotated[Id, Path(alias="deliveryId")]


class Chosen(View):
    """The setting as it can be added to ``.env``, and the number of waiting videos that continue with it."""

    setting: str
    videos: int


@router.get("/deliveries", response_model_exclude_none=True, responses=failures(400, 401, 403))
def list_deliveries(
    caller: SignedInCaller, query: Annotated[WebhookCallParams, Query()]
) -> Success[WebhookCallsView]:
    """The webhook calls of the last 30 days, in and out, newest first."""
    found = webhook_log.list_calls(caller, **{**query.model_dump(), "video_id": query.video_id or ""})
    return Success(message="Deliveries retrieved successfully", data=found)


@router.post(
    "/deliveries/{deliveryId}/replay",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409),
)
def replay(caller: SignedInCaller, call_id: CallId) -> Success[VideoView]:
    """Apply an earlier report again."""
    video = rescue.replay(caller, call_id, enqueue=enqueue)
    return Success(message="Report applied again", data=video)


@router.post("/deliveries/{deliveryId}/field", responses=failures(400, 401, 403, 404, 409))
def choose_field(caller: SignedInCaller, call_id: CallId, body: FieldBody) -> Success[Chosen]:
    """Read the video's address from this field of all reports, and continue with the videos that wait for one."""
    videos = rescue.choose_result_field(caller, call_id, body.field, enqueue=enqueue)
    chosen = Chosen(setting=f"{VIDEO_RESULT_FIELD}={body.field}", videos=videos)
    return Success(message="Field chosen", data=chosen)


@router.post(
    "/videos/{videoId}/rescue",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409, 422),
)
def attach_file(
    caller: SignedInCaller, video_id: Annotated[Id, Path(alias="videoId")], body: AddressBody
) -> Success[VideoView]:
    """Give a stuck video the address of its finished file, and store it."""
    video = rescue.set_video_url(caller, video_id, body.video_url, enqueue=enqueue)
    return Success(message="Video is being stored", data=video)
