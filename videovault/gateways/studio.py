"""The embedded studio as its callers see it: both sides know a key, and no address is trusted by itself.

The address of a file holds random digits and a code made of them, the video and the key. It cannot be guessed, and
shows which video the studio has rendered it for.
"""

import hashlib
import hmac
import re
import secrets

from videovault.config import settings

# An environment can be read by its own user only, a command line by all.
KEY_VARIABLE = "VIDEOVAULT_STUDIO_KEY"
_FILE = re.compile(r"([0-9a-f]{16})([0-9a-f]{32})/[a-z0-9-]+\.mp4")
# Files that a studio of the version before has rendered; all of them are gone a day after the update.
_EARLIER_FILE = re.compile(r"[a-z0-9-]+-([0-9a-f]{8})\.mp4")
_STATUS = re.compile(r"/status/[0-9a-f]{24}")
MOST_EARLIER_ATTEMPTS = 1000


def bearer_header(key: str) -> dict[str, str]:
    """The header by which a request shows the key."""
    return {"Authorization": f"Bearer {key}"}


def file_code(key: str, video_id: str) -> str:
    """48 hexadecimal digits for the address of a file that is rendered for this video; others each time."""
    nonce = secrets.token_hex(8)
    return nonce + _code(key, video_id, nonce)


def is_file_of(video_id: str, attempt: int, url: str) -> bool:
    """Whether ``url`` is a file of the embedded studio, rendered for this video in this attempt or before."""
    chosen = settings()
    start = f"{chosen.studio_url}/files/"
    if not chosen.uses_embedded_studio or not url.startswith(start):
        return False
    path = url.removeprefix(start)
    if found := _FILE.fullmatch(path):
        return hmac.compare_digest(found[2], _code(chosen.installation.studio_key, video_id, found[1]))
    earlier = _EARLIER_FILE.fullmatch(path)
    attempts = range(min(attempt, MOST_EARLIER_ATTEMPTS) + 1)
    return bool(earlier and any(earlier[1] == _earlier_code(video_id, number) for number in attempts))


def is_status_url(url: str) -> bool:
    """Whether ``url`` is where the embedded studio says how far one of its jobs is."""
    chosen = settings()
    return (
        chosen.uses_embedded_studio
        and url.startswith(chosen.studio_url)
        and bool(_STATUS.fullmatch(url.removeprefix(chosen.studio_url)))
    )


def _code(key: str, video_id: str, nonce: str) -> str:
    return hmac.new(key.encode(), f"file\n{video_id}\n{nonce}".encode(), hashlib.sha256).hexdigest()[:32]


def _earlier_code(video_id: str, attempt: int) -> str:
    return hashlib.sha256(f"{video_id}:{attempt}".encode()).hexdigest()[:8]
