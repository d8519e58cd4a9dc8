"""Generating videos: a brief becomes a script, a script becomes a video; and the avatars to choose from."""

from functools import partial
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Body, Path, Response

from videovault.api.auth import SignedInCaller
from videovault.api.long_polling import LongTask, Started, Waiting, failure_error, long_call_responses
from videovault.api.middleware.body_limit import RawBody
from videovault.api.responses import Nothing, Success, failures
from videovault.api.schemas import AvatarBody, AvatarChangeBody, AvatarOrderBody, BriefBody, Id, ScriptBody
from videovault.clock import utcnow
from videovault.config import settings
from videovault.errors import WebhookError
from videovault.models import Status
from videovault.services.core.access import Caller, check_own_email
from videovault.services.core.idempotency import Claim
from videovault.services.core.views import Timestamp, VideoView, View
from videovault.services.generation import avatars, orders, scripts
from videovault.services.generation.avatars import AvatarsView, AvatarView
from videovault.services.videos import gallery
from videovault.worker import enqueue

SCRIPT_EXAMPLE = {
    "hook": "Video prompt",
    "body": "Video description",
    "conclusion": "Video conclusion",
    "company_name": "Company Name",
    "social_handles": "@handle",
    "license": "License Info",
    "avatar": "Avatar Name",
    "email": "user@example.com",
}

router = APIRouter(prefix="/api/auth/create-video", tags=["Creating videos"])
# A script webhook may take minutes; these calls must not occupy the threads of all others.
_script_threads = anyio.CapacityLimiter(20)


class Draft(View):
    video_id: str
    hook: str
    body: str
    conclusion: str
    status: Literal["draft"] = "draft"


class Generated(View):
    """The guide's "Video Ready" answer."""

    video_url: str
    status: Literal["ready"] = "ready"
    timestamp: Timestamp
    video_id: str


class Generating(View):
    """The guide's "Processing" answer; ``estimatedTime`` in minutes."""

    status: Literal["processing"] = "processing"
    estimated_time: int | float
    timestamp: Timestamp
    message: str
    video_id: str


@router.post("", responses=failures(400, 401, 403, 404, 409, 429, 502))
async def create_video(caller: SignedInCaller, body: BriefBody) -> Success[Draft]:
    """Have a script written for a brief. Both are saved as a draft."""
    check_own_email(caller, body.email)
    write = partial(scripts.write_draft, caller, _texts(body))
    script = await anyio.to_thread.run_sync(write, limiter=_script_threads)
    draft = Draft(video_id=script.video_id, hook=script.hook, body=script.body, conclusion=script.conclusion)
    missing = " and ".join(scripts.missing_parts(draft.model_dump()))
    message = "Script created successfully"
    if missing:
        message = f"Script created, but the script service left {missing} empty"
    return Success(message=message, data=draft)


@router.post(
    "/generate-video",
    response_model=Success[Generated],
    responses=long_call_responses(Success[Generating], "The generator is still at work", 502),
)
async def generate_video(
    call: Waiting, body: Annotated[ScriptBody, Body(examples=[SCRIPT_EXAMPLE])]
) -> Response:
    """Order a video from a script, and wait a while for its address. Storing begins automatically."""
    task = LongTask(
        endpoint="generate-video",
        start=partial(_order, call.caller, body),
        busy={Status.GENERATING},
        max_seconds=settings().generate_wait_seconds,
        answer=partial(_answer, call.caller),
    )
    return await call.run(body, task)


def _order(caller: Caller, body: ScriptBody, claim: Claim | None) -> Started:
    check_own_email(caller, body.email)
    video = orders.request(caller, _texts(body), body.video_id or "", enqueue=enqueue, claim=claim)
    return Started(video.video_id, _accepted(video))


def _answer(caller: Caller, video_id: str) -> tuple[int, Success[Any]]:
    url = orders.delivered_url(caller, video_id)
    video = None if url else gallery.get(caller, video_id, links=False)
    if video and video.status == "failed":
        raise failure_error(video.error, WebhookError)
    if video and video.status != "ready":
        return 202, _accepted(video)
    if not url:  # the generator answered with the video itself, so that the only address is ours
        url = gallery.download_url(caller, video_id)
    generated = Generated(video_url=url, timestamp=utcnow(), video_id=video_id)
    return 200, Success(message="Video generated successfully", data=generated)


def _accepted(video: VideoView) -> Success[Generating]:
    message = "Video generation request submitted successfully"
    return Success(message=message, data=_generating(video))


def _generating(video: VideoView) -> Generating:
    seconds = video.progress.expected_seconds if video.progress else None
    minutes = seconds / 60 if seconds else orders.DEFAULT_MINUTES
    rounded = int(minutes) if minutes == int(minutes) else round(minutes, 2)
    return Generating(
        estimated_time=rounded,
        timestamp=utcnow(),
        message=f"Your video is being generated. This process typically takes {rounded} "
        f"{'minute' if rounded == 1 else 'minutes'}.",
        video_id=video.video_id,
    )


def _texts(body: BriefBody | ScriptBody) -> dict[str, Any]:
    """The texts by the services' names."""
    return body.model_dump(exclude={"email", "video_id"})


avatar_router = APIRouter(prefix="/api")
AvatarId = Annotated[Id, Path(alias="avatarId")]
IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}  # the address has a hash of the picture
ADMIN: dict[str, Any] = {"tags": ["Administration"], "response_model_exclude_none": True}
PICTURE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "description": f"A PNG, JPEG or WebP picture of at most {avatars.MAX_PICTURE_BYTES // 1024} KiB.",
        "content": dict.fromkeys(("image/png", "image/jpeg", "image/webp"), PICTURE),
    }
}


@avatar_router.get(
    "/auth/avatars", tags=["Videos"], response_model_exclude_none=True, responses=failures(401)
)
def list_avatars(caller: SignedInCaller) -> Success[AvatarsView]:
    """The avatars to choose from. A brief or script takes the `generatorId` as its `avatar`."""
    return Success(message="Avatars retrieved successfully", data=avatars.list_avatars(caller))


@avatar_router.get(
    "/auth/avatars/{avatarId}/picture",
    tags=["Videos"],
    response_class=Response,
    responses={200: {"content": {avatars.PICTURE_MEDIA_TYPE: PICTURE}}, **failures(401, 404)},
)
def avatar_picture(caller: SignedInCaller, avatar_id: AvatarId) -> Response:
    """The avatar's picture, 256 pixels wide and high."""
    picture = avatars.read_picture(caller, avatar_id)
    return Response(picture, media_type=avatars.PICTURE_MEDIA_TYPE, headers=IMMUTABLE)


@avatar_router.post("/admin/avatars", status_code=201, responses=failures(400, 401, 403, 409), **ADMIN)
def add_avatar(caller: SignedInCaller, body: AvatarBody) -> Success[AvatarView]:
    """Add an avatar. The built-in ones are offered only while there is no other."""
    added = avatars.add(caller, body.model_dump(by_alias=True))
    return Success(message="Avatar added successfully", data=added)


@avatar_router.put("/admin/avatars/order", responses=failures(400, 401, 403, 409), **ADMIN)
def order_avatars(caller: SignedInCaller, body: AvatarOrderBody) -> Success[AvatarsView]:
    """Set the order of the avatars. The list must contain all of them."""
    return Success(message="Avatars ordered successfully", data=avatars.reorder(caller, body.avatar_ids))


@avatar_router.patch("/admin/avatars/{avatarId}", responses=failures(400, 401, 403, 404), **ADMIN)
def change_avatar(caller: SignedInCaller, avatar_id: AvatarId, body: AvatarChangeBody) -> Success[AvatarView]:
    """Change an avatar's name or generator ID. Videos made with the previous ID keep it."""
    changes = body.model_dump(by_alias=True, exclude_none=True)
    return Success(message="Avatar updated successfully", data=avatars.change(caller, avatar_id, changes))


@avatar_router.delete("/admin/avatars/{avatarId}", responses=failures(401, 403, 404), **ADMIN)
def delete_avatar(caller: SignedInCaller, avatar_id: AvatarId) -> Success[Nothing]:
    """Delete an avatar. Videos that were made with it do not change."""
    avatars.remove(caller, avatar_id)
    return Success(message="Avatar deleted successfully", data=Nothing())


@avatar_router.put(
    "/admin/avatars/{avatarId}/picture",
    responses=failures(400, 401, 403, 404, 429),
    openapi_extra=PICTURE_BODY,
    **ADMIN,
)
def set_picture(caller: SignedInCaller, avatar_id: AvatarId, picture: RawBody) -> Success[AvatarView]:
    """Set an avatar's picture, which is cropped to its centre and scaled down."""
    return Success(message="Picture saved successfully", data=avatars.set_picture(caller, avatar_id, picture))


@avatar_router.delete("/admin/avatars/{avatarId}/picture", responses=failures(401, 403, 404), **ADMIN)
def remove_picture(caller: SignedInCaller, avatar_id: AvatarId) -> Success[AvatarView]:
    """Remove an avatar's picture. Its initials are shown instead."""
    return Success(message="Picture removed successfully", data=avatars.set_picture(caller, avatar_id, None))
