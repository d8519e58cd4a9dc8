"""Videos over HTTP: storing from an address, the gallery, links and deletion."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import anyio
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.convertors import Convertor, register_url_convertor

from videovault.api import responses
from videovault.api.auth import SignedInCaller
from videovault.api.long_calls import LongTask, Waiting, promises
from videovault.api.responses import Responses, Success, failures
from videovault.api.schemas import AddressBody, DeleteBody, GalleryParams, Id, RenameBody, StoreBody
from videovault.api.video_watcher import failure_error
from videovault.config import settings
from videovault.errors import Busy, SourceError
from videovault.services.core.access import Caller
from videovault.services.core.idempotency import Claim
from videovault.services.core.views import (
    PROCESSING,
    GalleryView,
    Retry,
    SourceView,
    StoredView,
    VideoView,
    View,
)
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion
from videovault.services.videos import gallery as videos_gallery
from videovault.services.videos.gallery import GalleryQuery
from videovault.worker import enqueue

# The gallery as JSON, sent page by page: it begins before the last video is read, and never lies in memory whole.

MESSAGE = "Video gallery retrieved successfully"
EMPTY = '"videos":[]'
FIRST_SECONDS, NEXT_SECONDS = 10.0, 60.0

# Signing links keeps the interpreter at work, so more at once would only keep all others waiting. Who waits here holds
# no thread, and those who read long galleries take turns with each page.
_pages = anyio.CapacityLimiter(1)


async def answer(read: Callable[[], Iterator[GalleryView]]) -> StreamingResponse:
    """What ``read`` gives, as one Success. Raises what it raises at its beginning, and Busy."""
    views = read()
    try:
        with anyio.fail_after(FIRST_SECONDS):
            first = await _next(views)
    except TimeoutError as error:
        raise Busy from error
    return StreamingResponse(_json(first, views), media_type=JSONResponse.media_type)


async def _json(first: tuple[GalleryView, str] | None, views: Iterator[GalleryView]) -> AsyncIterator[str]:
    assert first is not None  # noqa: S101 - there is always one view
    view, videos = first
    said: Success[GalleryView] = Success(message=MESSAGE, data=view.model_copy(update={"videos": []}))
    head, tail = said.model_dump_json(by_alias=True, exclude_none=True).split(EMPTY)
    yield f'{head}"videos":[{videos}'
    while True:
        with anyio.fail_after(NEXT_SECONDS):
            page = await _next(views)
        if page is None:
            break
        if page[1]:
            yield f",{page[1]}"
    yield f"]{tail}"


async def _next(views: Iterator[GalleryView]) -> tuple[GalleryView, str] | None:
    """The next view and its videos in JSON, separated by commas; None at the end."""

    def work() -> tuple[GalleryView, str] | None:
        view = next(views, None)
        if view is None:
            return None
        shown = (video.model_dump_json(by_alias=True, exclude_none=True) for video in view.videos)
        return view, ",".join(shown)

    return await anyio.to_thread.run_sync(work, limiter=_pages)


POSTER_SECONDS = 600  # for so long a browser may keep the way to a poster


class _VideoIdConvertor(Convertor[str]):
    """Any id but the guide's own words, so that GET …/video/delete is a wrong method, not an unknown video."""

    regex = "(?!(?:gallery|download|status|delete)(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("video", _VideoIdConvertor())
VideoId = Annotated[Id, Path(alias="videoId")]
ONE = "/{videoId:video}"
REDIRECT: Responses = {302: {"description": "To a fresh presigned URL"}}

router = APIRouter(prefix="/api/auth/video", tags=["Videos"])


class Deleted(View):
    video_id: str


@router.post(
    "/download",
    response_model=Success[StoredView],
    responses=promises(Success[StoredView], "Still being stored", 422, 502),
)
async def download(call: Waiting, body: StoreBody) -> Response:
    """Store the video behind an address, waiting until it is in S3 and proven to be whole."""
    work = LongTask(
        endpoint="download",
        start=partial(_store, call.caller, body),
        busy=PROCESSING,
        longest=settings().store_wait_seconds,
        answer=partial(_stored, call.caller),
    )
    return await call.carry_out(body, work)


@router.get("/gallery", response_model=Success[GalleryView], responses=failures(400, 401, 403, 429, 502))
async def gallery(caller: SignedInCaller, query: Annotated[GalleryParams, Query()]) -> Response:
    """A user's videos, newest first, with the counts over all of them."""
    wanted = GalleryQuery(
        status=query.status,
        q=query.q,
        sort=query.sort or "newest",
        limit=query.limit,
        cursor=query.cursor,
    )
    return await answer(partial(videos_gallery.stream_gallery, caller, query.user_id, wanted))


@router.delete("/delete", responses=failures(400, 401, 403, 404, 502))
def delete(request: Request, caller: SignedInCaller, body: DeleteBody) -> Success[Deleted]:
    """Delete a video: its objects in S3, then its row."""
    responses.set_video_id(request, body.video_id)
    kept = deletion.delete(caller, body.video_id, owner_id=body.user_id)
    message = f"Video deleted. {kept}" if kept else "Video deleted successfully"
    return Success(message=message, data=Deleted(video_id=body.video_id))


@router.get(ONE, response_model_exclude_none=True, responses=failures(401, 404, 429, 502))
def get(caller: SignedInCaller, video_id: VideoId) -> Success[VideoView]:
    """One video, as in the gallery."""
    return Success(message="Video retrieved successfully", data=videos_gallery.get(caller, video_id))


@router.patch(ONE, response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 502))
def rename(caller: SignedInCaller, video_id: VideoId, body: RenameBody) -> Success[VideoView]:
    """Give a video another title."""
    return Success(
        message="Video renamed successfully", data=videos_gallery.rename(caller, video_id, body.title)
    )


@router.get(
    f"{ONE}/download",
    status_code=302,
    response_class=RedirectResponse,
    responses={**REDIRECT, **failures(400, 401, 404, 409, 429, 502)},
)
def download_link(
    caller: SignedInCaller,
    video_id: VideoId,
    inline: Annotated[bool, Query(description="To play it instead of saving it")] = False,
) -> Response:
    """To the file itself, under its title."""
    return to_s3(videos_gallery.download_url(caller, video_id, inline=inline))


@router.get(
    f"{ONE}/thumbnail",
    status_code=302,
    response_class=RedirectResponse,
    responses={**REDIRECT, **failures(401, 404, 409, 502)},
)
def thumbnail(caller: SignedInCaller, video_id: VideoId) -> Response:
    """To the video's poster."""
    response = to_s3(videos_gallery.poster_url(caller, video_id))
    seconds = min(POSTER_SECONDS, settings().download_url_seconds)
    response.headers["Cache-Control"] = f"private, max-age={seconds}"
    return response


@router.post(
    f"{ONE}/retry", response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 409, 413, 429)
)
def retry(
    caller: SignedInCaller,
    video_id: VideoId,
    how: Annotated[Retry | None, Query(description="One of the video's `retries`; else the first")] = None,
) -> Success[VideoView]:
    """Run a failed video again: `transfer` fetches it from its address again and costs nothing, `generation` orders it
    again, which the generator may charge for. `copy`, of a ready video, makes its playable copy again."""
    video = pipeline.retry(caller, video_id, how, enqueue=enqueue)
    return Success(message="Video is being tried again", data=video)


@router.get(f"{ONE}/source", responses=failures(401, 403, 404, 409))
def source_address(caller: SignedInCaller, video_id: VideoId) -> Success[SourceView]:
    """The address that a failed video was fetched from, whole and as it was given. It may carry a secret."""
    return Success(
        message="Address retrieved successfully", data=pipeline.reveal_source_url(caller, video_id)
    )


@router.put(
    f"{ONE}/source",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409, 413, 422, 429),
)
def fetch_from(caller: SignedInCaller, video_id: VideoId, body: AddressBody) -> Success[VideoView]:
    """Fetch a failed video from another address."""
    video = pipeline.fetch_from_url(caller, video_id, body.video_url, enqueue=enqueue)
    return Success(message="Video is being fetched", data=video)


@router.post(f"{ONE}/cancel", response_model_exclude_none=True, responses=failures(401, 403, 404, 409))
def cancel(caller: SignedInCaller, video_id: VideoId) -> Success[VideoView]:
    """Stop a video in work."""
    return Success(message="Video cancelled successfully", data=pipeline.cancel(caller, video_id))


def _store(caller: Caller, body: StoreBody, claim: Claim | None) -> str:
    stored = videos_gallery.store_link(
        caller, body.video_url, body.user_email, body.title or "", enqueue=enqueue, claim=claim
    )
    return stored.video_id


def _stored(caller: Caller, video_id: str) -> tuple[int, Success[Any]]:
    video = videos_gallery.get(caller, video_id, links=False)
    if video.status == "failed":
        raise failure_error(video.error, SourceError)
    stored = videos_gallery.get_stored(caller, video_id)
    if stored.status == "ready":
        return 200, Success(message="Video downloaded and uploaded successfully", data=stored)
    return 202, Success(message="Video is being downloaded and stored", data=stored)


def to_s3(url: str) -> Response:
    """Where the app itself passes S3 on, only the path: it works by whatever name the browser came."""
    if settings().uses_embedded_s3 and not settings().s3_public_endpoint_url:
        parts = urlsplit(url)
        url = f"{parts.path}?{parts.query}"
    return RedirectResponse(url, 302)
