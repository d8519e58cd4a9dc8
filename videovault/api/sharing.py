"""Share links: their owners' calls, and access to a shared video without an account."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from videovault.api.auth import SignedInCaller
from videovault.api.middleware.hosts import client_ip
from videovault.api.responses import Success, failures
from videovault.api.schemas import ShareBody
from videovault.api.videos import REDIRECT, REDIRECTED, VIDEO, VideoId, redirect_to_s3
from videovault.services import sharing
from videovault.services.sharing import KeyView, ShareCredentials, ShareView

link_router = APIRouter(prefix="/api/auth/video", tags=["Sharing"])
share_router = APIRouter(prefix="/api/share", tags=["Sharing"])


@link_router.get(f"{VIDEO}/secret-key", responses=failures(401, 403, 404))
def secret_key(caller: SignedInCaller, video_id: VideoId) -> Success[KeyView]:
    """The video's secret key, and the link that contains it."""
    key = sharing.get_secret_key(caller, video_id)
    return Success(message="Secret key retrieved successfully", data=key)


@link_router.post(f"{VIDEO}/secret-key/rotate", responses=failures(401, 403, 404))
def rotate(caller: SignedInCaller, video_id: VideoId) -> Success[KeyView]:
    """Replace the secret key. Links with the old one stop working."""
    return Success(message="Secret key replaced successfully", data=sharing.rotate_key(caller, video_id))


@link_router.get(f"{VIDEO}/share", response_model_exclude_none=True, responses=failures(401, 403, 404))
def link(caller: SignedInCaller, video_id: VideoId) -> Success[ShareView]:
    """The share link and its state."""
    return Success(message="Share link retrieved successfully", data=sharing.get_link(caller, video_id))


@link_router.post(
    f"{VIDEO}/share", response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 409)
)
def open_link(caller: SignedInCaller, video_id: VideoId, body: ShareBody) -> Success[ShareView]:
    """Open the share link for a number of days and views from now on."""
    opened = sharing.open_link(
        caller, video_id, expires_in_days=body.expires_in_days, most_views=body.most_views
    )
    return Success(message="Share link opened successfully", data=opened)


@link_router.delete(f"{VIDEO}/share", response_model_exclude_none=True, responses=failures(401, 403, 404))
def close_link(caller: SignedInCaller, video_id: VideoId) -> Success[ShareView]:
    """Close the share link until it is opened again."""
    return Success(message="Share link closed successfully", data=sharing.close_link(caller, video_id))


ACCESS: Any = {"responses": {**REDIRECTED, **failures(400, 403, 404, 429, 502)}, **REDIRECT}
Text = Annotated[str, Query(max_length=200)]


def _credentials(request: Request, key: Text = "", ticket: Text = "") -> ShareCredentials:
    return ShareCredentials(key, client_ip(request.scope), ticket)


Credentials = Annotated[ShareCredentials, Depends(_credentials)]


@share_router.get("/{videoId}/download", **ACCESS)
def download(
    credentials: Credentials,
    video_id: VideoId,
    inline: Annotated[bool, Query(description="To play it instead of saving it")] = False,
) -> Response:
    """Redirect to the file, to be saved under its title."""
    return redirect_to_s3(sharing.download_url(video_id, credentials, inline=inline))


@share_router.get("/{videoId}/thumbnail", **ACCESS)
def thumbnail(credentials: Credentials, video_id: VideoId) -> Response:
    """Redirect to the video's poster."""
    return redirect_to_s3(sharing.poster_url(video_id, credentials))
