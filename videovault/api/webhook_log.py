"""The callback inbox over HTTP, for admins."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from videovault.api.auth import SignedInCaller
from videovault.api.responses import Success, failures
from videovault.api.schemas import AddressBody, CamelBody, Id, Text, or_blank
from videovault.services.admin import rescue as rescue_service
from videovault.services.core.views import VideoView, View
from videovault.services.generation import webhook_log
from videovault.services.generation.result_field import VIDEO_RESULT_FIELD
from videovault.services.generation.webhook_log import WebhookCallsView
from videovault.worker import enqueue

Direction = Literal["in", "out"]
router = APIRouter(prefix="/api/admin", tags=["Administration"])


class InboxParams(CamelBody):
    """What of the inbox is wanted; an empty value counts as not given."""

    video_id: Annotated[Id | None, or_blank(Id)] = None
    direction: Annotated[Direction | None, or_blank(Direction)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[Text, StringConstraints(max_length=20)] = ""


class FieldBody(CamelBody):
    """A path as ``fields`` of an answer that was not understood names it."""

    field: Annotated[Text, StringConstraints(min_length=1, max_length=200)]


class Chosen(View):
    """The setting as it may be written into ``.env``, and how many waiting videos go on by it."""

    setting: str
    videos: int


@router.get("/deliveries", response_model_exclude_none=True, responses=failures(400, 401, 403))
def list_deliveries(
    caller: SignedInCaller, query: Annotated[InboxParams, Query()]
) -> Success[WebhookCallsView]:
    """The webhook calls of the last 30 days, in and out, newest first."""
    found = webhook_log.list_calls(
        caller,
        video_id=query.video_id or "",
        direction=query.direction,
        limit=query.limit,
        cursor=query.cursor,
    )
    return Success(message="Deliveries retrieved successfully", data=found)


@router.post(
    "/deliveries/{deliveryId}/replay",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409),
)
def replay(
    caller: SignedInCaller, delivery_id: Annotated[Id, Path(alias="deliveryId")]
) -> Success[VideoView]:
    """Apply a report that once arrived again."""
    video = rescue_service.replay(caller, delivery_id, enqueue=enqueue)
    return Success(message="Report applied again", data=video)


@router.post(
    "/deliveries/{deliveryId}/field",
    responses=failures(400, 401, 403, 404, 409),
)
def choose_field(
    caller: SignedInCaller, delivery_id: Annotated[Id, Path(alias="deliveryId")], body: FieldBody
) -> Success[Chosen]:
    """Have the video's address read from this field of all answers, and go on with the videos that wait for it."""
    videos = rescue_service.choose_result_field(caller, delivery_id, body.field, enqueue=enqueue)
    chosen = Chosen(setting=f"{VIDEO_RESULT_FIELD}={body.field}", videos=videos)
    return Success(message="Field chosen", data=chosen)


@router.post(
    "/videos/{videoId}/rescue",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409, 422),
)
def rescue(
    caller: SignedInCaller, video_id: Annotated[Id, Path(alias="videoId")], body: AddressBody
) -> Success[VideoView]:
    """Give a stuck video the address of its finished file; storing begins."""
    video = rescue_service.set_video_url(caller, video_id, body.video_url, enqueue=enqueue)
    return Success(message="Video is being stored", data=video)
