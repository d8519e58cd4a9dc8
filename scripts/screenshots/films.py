"""The videos in the screenshots, rendered by the built-in studio."""

from pathlib import Path

from tests.support.showcase import TOPICS
from videovault.embedded.studio.render import render
from videovault.embedded.studio.requests import ScriptRequest, VideoRequest
from videovault.embedded.studio.script_writer import write_script

AVATARS = ("Maya", "Kenji", "Amara")


def films(folder: Path) -> dict[str, bytes]:
    """One video for each topic."""
    return {topic: _film(topic, avatar, folder) for topic, avatar in zip(TOPICS, AVATARS, strict=True)}


def _film(topic: str, avatar: str, folder: Path) -> bytes:
    brief = {
        "topic": topic,
        "company_name": "Brot & Söhne",
        "social_handles": "@brotundsoehne",
        "avatar": avatar,
    }
    script = write_script(ScriptRequest.model_validate(brief))
    file = folder / f"{avatar}.mp4"
    render(VideoRequest.model_validate(brief | script._asdict()), file)
    return file.read_bytes()
