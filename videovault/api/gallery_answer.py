"""The gallery as JSON, sent page by page: it begins before the last video is read, and never lies in memory whole."""

from collections.abc import AsyncIterator, Callable, Iterator

import anyio
from fastapi.responses import JSONResponse, StreamingResponse

from videovault.api.envelope import Success
from videovault.errors import Busy
from videovault.services.views import GalleryView

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
