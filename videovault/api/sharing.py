"""An owner's share links over HTTP."""

from fastapi import APIRouter

from videovault.api.auth import SignedInCaller
from videovault.api.envelope import Success, failing
from videovault.api.schemas import ShareBody
from videovault.api.videos import ONE, VideoId
from videovault.services import sharing
from videovault.services.share_views import KeyView, ShareView

router = APIRouter(prefix="/api/auth/video", tags=["Sharing"])


@router.get(f"{ONE}/secret-key", responses=failing(401, 403, 404))
def secret_key(caller: SignedInCaller, video_id: VideoId) -> Success[KeyView]:
    """The video's secret key, and the link that carries it."""
    return Success(message="Secret key retrieved successfully", data=sharing.secret_key(caller, video_id))


@router.post(f"{ONE}/secret-key/rotate", responses=failing(401, 403, 404))
def rotate(caller: SignedInCaller, video_id: VideoId) -> Success[KeyView]:
    """A new secret key: links with the old one are dead."""
    return Success(message="Secret key replaced successfully", data=sharing.rotate(caller, video_id))


@router.get(f"{ONE}/share", response_model_exclude_none=True, responses=failing(401, 403, 404))
def link(caller: SignedInCaller, video_id: VideoId) -> Success[ShareView]:
    """The share link and how it stands."""
    return Success(message="Share link retrieved successfully", data=sharing.link(caller, video_id))


@router.post(f"{ONE}/share", response_model_exclude_none=True, responses=failing(400, 401, 403, 404, 409))
def open_link(caller: SignedInCaller, video_id: VideoId, body: ShareBody) -> Success[ShareView]:
    """Open the share link, from now on for so many days and views."""
    opened = sharing.open_link(
        caller, video_id, expires_in_days=body.expires_in_days, most_views=body.most_views
    )
    return Success(message="Share link opened successfully", data=opened)


@router.delete(f"{ONE}/share", response_model_exclude_none=True, responses=failing(401, 403, 404))
def close_link(caller: SignedInCaller, video_id: VideoId) -> Success[ShareView]:
    """Close the share link, until it is opened again."""
    return Success(message="Share link closed successfully", data=sharing.close_link(caller, video_id))
