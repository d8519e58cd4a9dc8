"""Authentication between VideoVault and its embedded studio: a shared key, and URLs that prove their origin.

The URL of a file contains a nonce and an HMAC of the nonce and the video's id. It cannot be guessed, and it proves
which video the studio rendered the file for.
"""

import hashlib
import hmac
import re
import secrets

from videovault.config import settings

# In the environment, because only its own user can read it; everyone can read a command line.
KEY_VARIABLE = "VIDEOVAULT_STUDIO_KEY"
_FILE = re.compile(r"([0-9a-f]{16})([0-9a-f]{32})/[a-z0-9-]+\.mp4")
# Files rendered by the previous version; the last ones expire a day after the update.
_EARLIER_FILE = re.compile(r"[a-z0-9-]+-([0-9a-f]{8})\.mp4")
_STATUS = re.compile(r"/status/[0-9a-f]{24}")
MAX_EARLIER_ATTEMPTS = 1000


def bearer_header(key: str) -> dict[str, str]:
    """The header that authenticates a request."""
    return {"Authorization": f"Bearer {key}"}


def file_code(key: str, video_id: str) -> str:
    """48 hexadecimal digits for the URL of a file that is rendered for this video; different each time."""
    nonce = secrets.token_hex(8)
    return nonce + _code(key, video_id, nonce)


def is_file_of(video_id: str, attempt: int, url: str) -> bool:
    """Whether ``url`` is a file of the embedded studio, rendered for this video in this attempt or before."""
    config = settings()
    prefix = f"{config.studio_url}/files/"
    if not config.uses_embedded_studio or not url.startswith(prefix):
        return False
    path = url.removeprefix(prefix)
    if found := _FILE.fullmatch(path):
        return hmac.compare_digest(found[2], _code(config.installation.studio_key, video_id, found[1]))
    earlier = _EARLIER_FILE.fullmatch(path)
    attempts = range(min(attempt, MAX_EARLIER_ATTEMPTS) + 1)
    return bool(earlier and any(earlier[1] == _earlier_code(video_id, number) for number in attempts))


def is_status_url(url: str) -> bool:
    """Whether ``url`` is the status URL of one of the embedded studio's jobs."""
    config = settings()
    return (
        config.uses_embedded_studio
        and url.startswith(config.studio_url)
        and bool(_STATUS.fullmatch(url.removeprefix(config.studio_url)))
    )


def _code(key: str, video_id: str, nonce: str) -> str:
    return hmac.new(key.encode(), f"file\n{video_id}\n{nonce}".encode(), hashlib.sha256).hexdigest()[:32]


def _earlier_code(video_id: str, attempt: int) -> str:
    return hashlib.sha256(f"{video_id}:{attempt}".encode()).hexdigest()[:8]
