"""What owners see of a share link, and visitors of a shared video."""

from urllib.parse import urlencode

from videovault.config import settings
from videovault.models import Video
from videovault.services.views import CopyView, Measured, Time, View


class KeyView(View):
    """The video's secret key and the link that is made of it; for its owner only, and never part of a list."""

    video_id: str
    secret_key: str
    url: str

    @classmethod
    def of(cls, video: Video, secret_key: str) -> "KeyView":
        return cls(video_id=video.id, secret_key=secret_key, url=link_of(video.id, secret_key))


class ShareView(View):
    """The link and how it stands: ``views`` are those since the link or its limits were last changed."""

    video_id: str
    title: str
    url: str
    is_open: bool
    expires_at: Time | None = None
    most_views: int | None = None
    views: int = 0

    @classmethod
    def of(cls, video: Video, secret_key: str) -> "ShareView":
        return cls(
            video_id=video.id,
            title=video.title,
            url=link_of(video.id, secret_key),
            is_open=video.share_closed_at is None,
            expires_at=video.share_expires_at,
            most_views=video.share_most_views,
            views=video.share_views,
        )


class SharedView(View):
    """What a visitor sees; ``duration`` in seconds, ``size`` in bytes. The ``ticket`` plays without being counted."""

    video_id: str
    title: str
    company_name: str
    duration: float | None
    size: int | None
    has_poster: bool
    ticket: str
    format: str | None = None
    measured: Measured | None = None
    playable_copy: CopyView | None = None


def link_of(video_id: str, secret_key: str) -> str:
    return f"{settings().base_url}/share/{video_id}?{urlencode({'key': secret_key})}"
