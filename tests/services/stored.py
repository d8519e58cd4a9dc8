"""A video as a worker leaves it in S3, and what somebody with access to the bucket may do to it."""

from tests.support.generator import Generator
from videovault.gateways import storage
from videovault.gateways.storage import Description
from videovault.models import Video
from videovault.services.core.access import Caller
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery


def store(owner: Caller, generator: Generator, title: str = "Launch") -> str:
    """The id of a video that is ready."""
    view = gallery.store_link(owner, generator.video_url, owner.email, title, enqueue=lambda _: None)
    pipeline.produce(view.video_id, stopping=lambda: False)
    return view.video_id


def swap(video: Video) -> None:
    """The same bytes, put there by somebody who does not know the video's key."""
    vault, key = storage.connected(), str(video.s3_key)
    content = vault.read(key, video.size or 0)
    assert content
    vault.put(key, content, Description("video/mp4", metadata={"videovault-tag": "guessed"}))
