"""Names derived from input: titles, S3 keys and download file names."""

import re
import time
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote

from videovault.gateways.source import title_from_url

if TYPE_CHECKING:
    from videovault.models import Video  # `transfer` needs no database

TITLE_LENGTH = 80
FILE_NAME_LENGTH = 60
POSTER_NAME = "poster.webp"
SIDECAR_NAME = "video.json"
COPY_PREFIX = "playable_"  # names of originals start with a time, so they never have this prefix


def title_from_text(text: str) -> str:
    """The first line, cut at a word."""
    line = next(iter(text.splitlines()), "").strip() or "Untitled"
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[: TITLE_LENGTH - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut) + "…"


def object_key(video: "Video", url: str) -> str:
    """``videos/<userId>/<videoId>/<millis>_<filename>.mp4``, as the guide prescribes; safe for any URL."""
    return f"{folder(video)}{time.time_ns() // 1_000_000}_{file_name(url)}"


def copy_key(video: "Video", extension: str) -> str:
    """A new key for each playable copy that is made."""
    return f"{folder(video)}{COPY_PREFIX}{time.time_ns() // 1_000_000}.{extension}"


def is_copy_key(key: str) -> bool:
    return key.rpartition("/")[2].startswith(COPY_PREFIX)


def file_name(url: str) -> str:
    """An ASCII file name from a URL, safe for any URL."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", _ascii(title_from_url(url))).strip("-.") or "video"
    return f"{name[:FILE_NAME_LENGTH]}.mp4"


def folder(video: "Video") -> str:
    """The key prefix of all objects of a video."""
    return folder_path(video.owner_id, video.id)


def folder_path(owner_id: str, video_id: str) -> str:
    return f"videos/{owner_id}/{video_id}/"


def content_disposition(title: str, extension: str, *, inline: bool = False) -> str:
    """The header that saves the file under its title (RFC 6266 and 8187), whatever the title is."""
    name = "".join(char for char in title if char.isprintable() and char not in '/\\:*?"<>|').strip(" .")
    name = f"{name or 'video'}.{extension}"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", _ascii(name))
    kind = "inline" if inline else "attachment"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
