"""Videos: storing one from an address, the gallery, links, retries and deletion."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import anyio
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.convertors import Convertor, register_url_convertor

from videovault.api import responses
from videovault.api.auth import SignedInCaller
from videovault.api.long_polling import LongTask, Started, Waiting, failure_error, long_call_responses
from videovault.api.responses import Responses, Success, failures
from videovault.api.schemas import AddressBody, DeleteBody, GalleryParams, Id, RenameBody, StoreBody
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
from videovault.services.videos import gallery as gallery_service
from videovault.services.videos.gallery import GalleryQuery
from videovault.worker import enqueue

POSTER_SECONDS = 600  # for which a browser may cache the redirect to a poster
FIRST_PAGE_SECONDS, NEXT_PAGE_SECONDS = 10.0, 60.0

# Presigning occupies the interpreter, so pages are read one at a time. Callers wait without holding a thread, and
# readers of long galleries take turns page by page.
_gallery_pages = anyio.CapacityLimiter(1)


class _VideoIdConvertor(Convertor[str]):
    """Any id but the fixed paths, so that GET …/video/delete is a wrong method, not an unknown video."""

    regex = "(?!(?:gallery|download|status|delete)(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("video", _VideoIdConvertor())
VideoId = Annotated[Id, Path(alias="videoId")]
VIDEO = "/{videoId:video}"
REDIRECT: dict[str, Any] = {"status_code": 302, "response_class": RedirectResponse}
REDIRECTED: Responses = {302: {"description": "To a fresh presigned URL"}}

router = APIRouter(prefix="/api/auth/video", tags=["Videos"])


class Deleted(View):
    video_id: str


@router.post(
    "/download",
    response_model=Success[StoredView],
    responses=long_call_responses(Success[StoredView], "Still being stored", 422, 502),
)
async def download(call: Waiting, body: StoreBody) -> Response:
    """Store the video at an address, waiting until it is in S3 and verified."""
    task = LongTask(
        endpoint="download",
        start=partial(_store, call.caller, body),
        busy=PROCESSING,
        max_seconds=settings().store_wait_seconds,
        answer=partial(_stored, call.caller),
    )
    return await call.run(body, task)


@router.get("/gallery", response_model=Success[GalleryView], responses=failures(400, 401, 403, 429, 502))
async def gallery(caller: SignedInCaller, query: Annotated[GalleryParams, Query()]) -> Response:
    """A user's videos, newest first, and the counts over all of them."""
    given = query.model_dump(include={"status", "q", "limit", "cursor"})
    wanted = GalleryQuery(**given, sort=query.sort or "newest")
    pages = gallery_service.stream_gallery(caller, query.user_id, wanted)
    return await _stream(pages, is_single=wanted.limit is not None)


@router.delete("/delete", responses=failures(400, 401, 403, 404, 502))
def delete(request: Request, caller: SignedInCaller, body: DeleteBody) -> Success[Deleted]:
    """Delete a video: its objects in S3, then its row."""
    responses.set_video_id(request, body.video_id)
    note = deletion.delete(caller, body.video_id, owner_id=body.user_id)
    message = f"Video deleted. {note}" if note else "Video deleted successfully"
    return Success(message=message, data=Deleted(video_id=body.video_id))


@router.get(VIDEO, response_model_exclude_none=True, responses=failures(401, 404, 429, 502))
def get(caller: SignedInCaller, video_id: VideoId) -> Success[VideoView]:
    """One video, as in the gallery."""
    return Success(message="Video retrieved successfully", data=gallery_service.get(caller, video_id))


@router.patch(VIDEO, response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 502))
def rename(caller: SignedInCaller, video_id: VideoId, body: RenameBody) -> Success[VideoView]:
    """Change a video's title."""
    video = gallery_service.rename(caller, video_id, body.title)
    return Success(message="Video renamed successfully", data=video)


@router.get(
    f"{VIDEO}/download", responses={**REDIRECTED, **failures(400, 401, 404, 409, 429, 502)}, **REDIRECT
)
def download_link(
    caller: SignedInCaller,
    video_id: VideoId,
    inline: Annotated[bool, Query(description="To play it instead of saving it")] = False,
) -> Response:
    """Redirect to the file, to be saved under its title."""
    return redirect_to_s3(gallery_service.download_url(caller, video_id, inline=inline))


@router.get(f"{VIDEO}/thumbnail", responses={**REDIRECTED, **failures(401, 404, 409, 502)}, **REDIRECT)
def thumbnail(caller: SignedInCaller, video_id: VideoId) -> Response:
    """Redirect to the video's poster."""
    response = redirect_to_s3(gallery_service.poster_url(caller, video_id))
    seconds = min(POSTER_SECONDS, settings().download_url_seconds)
    response.headers["Cache-Control"] = f"private, max-age={seconds}"
    return response


@router.post(
    f"{VIDEO}/retry", response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 409, 413, 429)
)
def retry(
    caller: SignedInCaller,
    video_id: VideoId,
    how: Annotated[Retry | None, Query(description="One of the video's `retries`; else the first")] = None,
) -> Success[VideoView]:
    """Retry a failed video: `transfer` fetches it from its address again and costs nothing, `generation` orders it
    again, which the generator may charge for. `copy`, of a ready video, makes its playable copy again. A video in
    progress can be ordered again only if its generator's response was lost: then its `retries` say so."""
    video = pipeline.retry(caller, video_id, how, enqueue=enqueue)
    return Success(message="Video is being retried", data=video)


@router.get(f"{VIDEO}/source", responses=failures(401, 403, 404, 409))
def source_address(caller: SignedInCaller, video_id: VideoId) -> Success[SourceView]:
    """The full address that a failed video was fetched from. It may contain a secret."""
    return Success(
        message="Address retrieved successfully", data=pipeline.reveal_source_url(caller, video_id)
    )


@router.put(
    f"{VIDEO}/source",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409, 413, 422, 429),
)
def fetch_from(caller: SignedInCaller, video_id: VideoId, body: AddressBody) -> Success[VideoView]:
    """Fetch a failed video from another address."""
    video = pipeline.fetch_from_url(caller, video_id, body.video_url, enqueue=enqueue)
    return Success(message="Video is being fetched", data=video)


@router.post(f"{VIDEO}/cancel", response_model_exclude_none=True, responses=failures(401, 403, 404, 409))
def cancel(caller: SignedInCaller, video_id: VideoId) -> Success[VideoView]:
    """Cancel a video that is being made or stored."""
    return Success(message="Video cancelled successfully", data=pipeline.cancel(caller, video_id))


def redirect_to_s3(url: str) -> Response:
    """For the embedded S3, which this application passes on, to the path only: it works under any host name."""
    if settings().uses_embedded_s3 and not settings().s3_public_endpoint_url:
        parts = urlsplit(url)
        url = f"{parts.path}?{parts.query}"
    return RedirectResponse(url, 302)


def _store(caller: Caller, body: StoreBody, claim: Claim | None) -> Started:
    stored = gallery_service.store_link(
        caller, body.video_url, body.user_email, body.title or "", enqueue=enqueue, claim=claim
    )
    return Started(stored.video_id, _accepted(stored))


def _accepted(stored: StoredView) -> Success[StoredView]:
    return Success(message="Video is being downloaded and stored", data=stored)


def _stored(caller: Caller, video_id: str) -> tuple[int, Success[Any]]:
    video = gallery_service.get(caller, video_id, links=False)
    if video.status == "failed":
        raise failure_error(video.error, SourceError)
    stored = gallery_service.get_stored(caller, video_id)
    if stored.status == "ready":
        return 200, Success(message="Video downloaded and uploaded successfully", data=stored)
    return 202, _accepted(stored)


async def _stream(pages: Iterator[GalleryView], *, is_single: bool) -> Response:
    """The pages as one Success, sent as they are read, so that a long gallery is never in memory as a whole.

    ``is_single``: there is one page only, which is sent at once.

    Raises Busy, and what reading the first page raises.
    """
    try:
        with anyio.fail_after(FIRST_PAGE_SECONDS):
            first = await _next_page(pages)
    except TimeoutError as error:
        raise Busy from error
    assert first is not None  # noqa: S101 - there is always one page
    page, videos = first
    before, after = _around_videos(page)
    if is_single:
        return Response(f"{before}{videos}{after}", media_type=JSONResponse.media_type)
    return StreamingResponse(_json(before, videos, pages, after), media_type=JSONResponse.media_type)


def _around_videos(page: GalleryView) -> tuple[str, str]:
    """The JSON of the answer before and after that of the videos."""
    message, without_videos = "Video gallery retrieved successfully", page.model_copy(update={"videos": []})
    success: Success[GalleryView] = Success(message=message, data=without_videos)
    before, after = success.model_dump_json(by_alias=True, exclude_none=True).split('"videos":[]')
    return f'{before}"videos":[', f"]{after}"


async def _json(before: str, videos: str, pages: Iterator[GalleryView], after: str) -> AsyncIterator[str]:
    yield f"{before}{videos}"
    while True:
        with anyio.fail_after(NEXT_PAGE_SECONDS):
            following = await _next_page(pages)
        if following is None:
            break
        if following[1]:
            yield f",{following[1]}"
    yield after


async def _next_page(pages: Iterator[GalleryView]) -> tuple[GalleryView, str] | None:
    """The next page, and its videos as JSON separated by commas; None at the end."""

    def read() -> tuple[GalleryView, str] | None:
        page = next(pages, None)
        if page is None:
            return None
        videos = (video.model_dump_json(by_alias=True, exclude_none=True) for video in page.videos)
        return page, ",".join(videos)

    return await anyio.to_thread.run_sync(read, limiter=_gallery_pages)
