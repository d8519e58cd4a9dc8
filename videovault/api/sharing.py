"""An owner's share links over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from videovault.api.auth import SignedInCaller
from videovault.api.responses import Success, failures
from videovault.api.schemas import ShareBody
from videovault.api.videos import ONE, REDIRECT, VideoId, to_s3
from videovault.services.sharing import share_access, share_links
from videovault.services.sharing.share_access import ShareCredentials
from videovault.services.sharing.share_links import KeyView, ShareView

share_link_router = APIRouter(prefix="/api/auth/video", tags=["Sharing"])


@share_link_router.get(f"{ONE}/secret-key", responses=failures(401, 403, 404))
def secret_key(caller: SignedInCaller, video_id: VideoId) -> Success[KeyView]:
    """The video's secret key, and the link that carries it."""
    return Success(
        message="Secret key retrieved successfully", data=share_links.get_secret_key(caller, video_id)
    )


@share_link_router.post(f"{ONE}/secret-key/rotate", responses=failures(401, 403, 404))
def rotate(caller: SignedInCaller, video_id: VideoId) -> Success[KeyView]:
    """A new secret key: links with the old one are dead."""
    return Success(message="Secret key replaced successfully", data=share_links.rotate_key(caller, video_id))


@share_link_router.get(f"{ONE}/share", response_model_exclude_none=True, responses=failures(401, 403, 404))
def link(caller: SignedInCaller, video_id: VideoId) -> Success[ShareView]:
    """The share link and how it stands."""
    return Success(message="Share link retrieved successfully", data=share_links.get_link(caller, video_id))


@share_link_router.post(
    f"{ONE}/share", response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 409)
)
def open_link(caller: SignedInCaller, video_id: VideoId, body: ShareBody) -> Success[ShareView]:
    """Open the share link, from now on for so many days and views."""
    opened = share_links.open_link(
        caller, video_id, expires_in_days=body.expires_in_days, most_views=body.most_views
    )
    return Success(message="Share link opened successfully", data=opened)


@share_link_router.delete(f"{ONE}/share", response_model_exclude_none=True, responses=failures(401, 403, 404))
def close_link(caller: SignedInCaller, video_id: VideoId) -> Success[ShareView]:
    """Close the share link, until it is opened again."""
    return Success(message="Share link closed successfully", data=share_links.close_link(caller, video_id))


# Shared videos over HTTP, for whoever has a link's key; nobody needs an account here.

REFUSED = failures(400, 403, 404, 429, 502)
Shown = Annotated[str, Query(max_length=200)]

share_page_router = APIRouter(prefix="/api/share", tags=["Sharing"])


def visit(request: Request, key: Shown = "", ticket: Shown = "") -> ShareCredentials:
    return ShareCredentials(key, request.client.host if request.client else "", ticket)


Visiting = Annotated[ShareCredentials, Depends(visit)]


@share_page_router.get(
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
    return to_s3(share_access.download_url(video_id, visit, inline=inline))


@share_page_router.get(
    "/{videoId}/thumbnail",
    status_code=302,
    response_class=RedirectResponse,
    responses={**REDIRECT, **REFUSED},
)
def thumbnail(visit: Visiting, video_id: VideoId) -> Response:
    """To the video's poster."""
    return to_s3(share_access.poster_url(video_id, visit))
