"""The two webhooks over HTTP: a brief becomes a script, a script becomes a video."""

from functools import partial
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Body, Response

from videovault.api.auth import SignedInCaller
from videovault.api.long_calls import LongTask, Waiting, promises
from videovault.api.responses import Success, failures
from videovault.api.schemas import BriefBody, ScriptBody
from videovault.api.video_watcher import failure_error
from videovault.config import settings
from videovault.errors import WebhookError
from videovault.models import Status, utcnow
from videovault.services.core.access import Caller, check_own_email
from videovault.services.core.idempotency import Claim
from videovault.services.core.views import Timestamp, VideoView, View
from videovault.services.generation import orders, scripts
from videovault.services.videos import gallery
from videovault.worker import enqueue

USUAL_MINUTES = 15
CREATED = "Script created successfully"

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
    timestamp: Timestamp
    video_id: str


class Generating(View):
    """The guide's "Processing" answer; ``estimatedTime`` in minutes."""

    status: Literal["processing"] = "processing"
    estimated_time: int | float
    timestamp: Timestamp
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


@router.post("", responses=failures(400, 401, 403, 404, 409, 429, 502))
async def create_video(caller: SignedInCaller, body: BriefBody) -> Success[Draft]:
    """Have a script written for a brief; both are kept as a draft."""
    check_own_email(caller, body.email)
    write = partial(scripts.write_draft, caller, _texts(body))
    script = await anyio.to_thread.run_sync(write, limiter=_writers)
    draft = Draft(video_id=script.video_id, hook=script.hook, body=script.body, conclusion=script.conclusion)
    empty = " and ".join(scripts.missing_parts(draft.model_dump()))
    message = f"Script created, but the script service left {empty} empty" if empty else CREATED
    return Success(message=message, data=draft)


@router.post(
    "/generate-video",
    response_model=Success[Generated],
    responses=promises(Success[Generating], "The generator is still at work", 502),
)
async def generate_video(call: Waiting, body: Annotated[ScriptBody, Body(examples=[EXAMPLE])]) -> Response:
    """Have a video made from a script, waiting a while for its address. Storing begins by itself."""
    work = LongTask(
        endpoint="generate-video",
        start=partial(_request, call.caller, body),
        busy={Status.GENERATING},
        longest=settings().generate_wait_seconds,
        answer=partial(_answer, call.caller),
    )
    return await call.carry_out(body, work)


def _request(caller: Caller, body: ScriptBody, claim: Claim | None) -> str:
    check_own_email(caller, body.email)
    video = orders.request(caller, _texts(body), body.video_id or "", enqueue=enqueue, claim=claim)
    return video.video_id


def _answer(caller: Caller, video_id: str) -> tuple[int, Success[Any]]:
    url = orders.delivered_url(caller, video_id)
    if url:
        return _ready(url, video_id)
    video = gallery.get(caller, video_id, links=False)
    if video.status == "ready":  # the generator's answer was the video itself: the only address is ours
        return _ready(gallery.download_url(caller, video_id), video_id)
    if video.status == "failed":
        raise failure_error(video.error, WebhookError)
    return 202, Success(message="Video generation request submitted successfully", data=_generating(video))


def _ready(url: str, video_id: str) -> tuple[int, Success[Any]]:
    ready = Generated(video_url=url, timestamp=utcnow(), video_id=video_id)
    return 200, Success(message="Video generated successfully", data=ready)


def _generating(video: VideoView) -> Generating:
    seconds = video.progress.expected_seconds if video.progress else None
    minutes = seconds / 60 if seconds else USUAL_MINUTES
    about = int(minutes) if minutes == int(minutes) else round(minutes, 2)
    return Generating(
        estimated_time=about,
        timestamp=utcnow(),
        message=f"Your video is being generated. This process typically takes {about} "
        f"{'minute' if about == 1 else 'minutes'}.",
        video_id=video.video_id,
    )


def _texts(body: BriefBody | ScriptBody) -> dict[str, Any]:
    """The texts by the services' names; what was not given is empty."""
    return {name: value or "" for name, value in body.model_dump(exclude={"email", "video_id"}).items()}
