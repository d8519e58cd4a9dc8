"""The two webhooks over HTTP: a brief becomes a script, a script becomes a video."""

from functools import partial
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Body, Request, Response
from starlette.concurrency import run_in_threadpool

from videovault.api.auth import SignedInCaller
from videovault.api.envelope import Success, failing
from videovault.api.schemas import BriefBody, ScriptBody
from videovault.api.waiting import reason, until
from videovault.config import settings
from videovault.errors import WebhookError
from videovault.models import now
from videovault.services import generation, scripts, videos
from videovault.services.access import check_own_email
from videovault.services.views import Time, VideoView, View
from videovault.worker import enqueue

USUAL_MINUTES = 15

router = APIRouter(prefix="/api/auth/create-video", tags=["Creating videos"])
# A script webhook may take minutes; waiting for it must not take the threads of everyone else.
_writers = anyio.CapacityLimiter(20)


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
    timestamp: Time
    video_id: str


class Generating(View):
    """The guide's "Processing" answer; ``estimatedTime`` in minutes."""

    status: Literal["processing"] = "processing"
    estimated_time: int | float
    timestamp: Time
    message: str
    video_id: str


EXAMPLE = {
    "hook": "Video prompt",
    "body": "Video description",
    "conclusion": "Video conclusion",
    "company_name": "Company Name",
    "social_handles": "@handle",
    "license": "License Info",
    "avatar": "Avatar Name",
    "email": "user@example.com",
}


@router.post("", responses=failing(400, 401, 403, 404, 409, 502))
async def create_video(caller: SignedInCaller, body: BriefBody) -> Success[Draft]:
    """Have a script written for a brief; both are kept as a draft."""
    check_own_email(caller, body.email)
    write = partial(scripts.write, caller, _texts(body))
    script = await anyio.to_thread.run_sync(write, limiter=_writers)
    draft = Draft(video_id=script.video_id, hook=script.hook, body=script.body, conclusion=script.conclusion)
    return Success(message="Script created successfully", data=draft)


@router.post(
    "/generate-video",
    responses={
        202: {"model": Success[Generating], "description": "The generator is still at work"},
        **failing(400, 401, 403, 404, 409, 502),
    },
)
async def generate_video(
    request: Request,
    response: Response,
    caller: SignedInCaller,
    body: Annotated[ScriptBody, Body(examples=[EXAMPLE])],
) -> Success[Generated] | Success[Generating]:
    """Have a video made from a script, waiting a while for its address. Storing begins by itself."""
    check_own_email(caller, body.email)
    ask = partial(generation.request, caller, _texts(body), body.video_id or "", enqueue=enqueue)
    video = await run_in_threadpool(ask)
    seconds = settings().generate_wait_seconds
    seen = await until(request, partial(videos.get, caller, video.video_id, links=False), _answered, seconds)
    url = await run_in_threadpool(generation.delivered_url, caller, video.video_id)
    if url:
        ready = Generated(video_url=url, timestamp=now(), video_id=video.video_id)
        return Success(message="Video generated successfully", data=ready)
    if seen.status == "failed":
        raise reason(seen.error, WebhookError)
    response.status_code = 202
    return Success(message="Video generation request submitted successfully", data=_generating(seen))


def _answered(video: VideoView) -> bool:
    return video.progress is None or video.progress.stage != "generating"


def _generating(video: VideoView) -> Generating:
    seconds = video.progress.expected_seconds if video.progress else None
    minutes = seconds / 60 if seconds else USUAL_MINUTES
    about = int(minutes) if minutes == int(minutes) else round(minutes, 2)
    return Generating(
        estimated_time=about,
        timestamp=now(),
        message=f"Your video is being generated. This process typically takes {about} "
        f"{'minute' if about == 1 else 'minutes'}.",
        video_id=video.video_id,
    )


def _texts(body: BriefBody | ScriptBody) -> dict[str, Any]:
    """The texts by the services' names; what was not given is empty."""
    return {name: value or "" for name, value in body.model_dump(exclude={"email", "video_id"}).items()}
