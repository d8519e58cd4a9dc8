"""Shared videos over HTTP, for whoever has a link's key; nobody needs an account here."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from videovault.api.envelope import failing
from videovault.api.videos import REDIRECT, VideoId, to_s3
from videovault.services import visiting
from videovault.services.visiting import Visit

REFUSED = failing(400, 403, 404, 429, 502)
Shown = Annotated[str, Query(max_length=200)]

router = APIRouter(prefix="/api/share", tags=["Sharing"])


def visit(request: Request, key: Shown = "", ticket: Shown = "") -> Visit:
    return Visit(key, request.client.host if request.client else "", ticket)


Visiting = Annotated[Visit, Depends(visit)]


@router.get(
    "/{videoId}/download",
    status_code=302,
    response_class=RedirectResponse,
    responses={**REDIRECT, **REFUSED},
)
def download(
    visit: Visiting,
    video_id: VideoId,
    inline: Annotated[bool, Query(description="To play it instead of saving it")] = False,
) -> Response:
    """To the file itself, under its title."""
    return to_s3(visiting.download_url(video_id, visit, inline=inline))


@router.get(
    "/{videoId}/thumbnail",
    status_code=302,
    response_class=RedirectResponse,
    responses={**REDIRECT, **REFUSED},
)
def thumbnail(visit: Visiting, video_id: VideoId) -> Response:
    """To the video's poster."""
    return to_s3(visiting.poster_url(video_id, visit))
