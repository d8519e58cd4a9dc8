"""File names from strangers, made safe to show and to save under."""

import re
import unicodedata
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import PurePosixPath
from typing import cast
from urllib.parse import unquote, urlsplit

LONGEST = 100
UNNAMED = "video"

_LONGEST_HEADER = 1024
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|]')
_Value = str | tuple[str | None, str | None, str]  # an encoded one has three parts (RFC 2231)
_JOINERS = "\u200c\u200d"  # invisible, but needed to write Persian and for combined emoji


def title_from_url(url: str) -> str:
    """The file name in the URL without its ending: ``video`` for ``https://host/a/video.mp4?x=1``."""
    name = _last_segment(url)
    stem, dot, ending = name.rpartition(".")
    # An ending has a letter and is short: "v1.2" and "The end. Really" have none.
    has_ending = dot and re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,4}", ending)
    return safe_name(stem if has_ending else name) or UNNAMED


def filename_hint(content_disposition: str, url: str) -> str:
    """A file name with its ending, from the header if it has one (RFC 6266), else from the URL."""
    return safe_name(_named_by(content_disposition)) or safe_name(_last_segment(url)) or UNNAMED


def safe_name(text: str) -> str:
    """At most 100 characters without path separators, controls or direction overrides; maybe empty."""
    visible = "".join(filter(_may_be_shown, unicodedata.normalize("NFC", text)))
    name = " ".join(_NOT_IN_NAMES.sub("_", visible).split())
    return name.strip(" .")[:LONGEST].rstrip(" .")


def _may_be_shown(char: str) -> bool:
    return char.isprintable() or char.isspace() or char in _JOINERS


def _last_segment(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    segment = unquote(path.rpartition("/")[2]).replace("\ufffd", "")
    return re.split(r"[/\\]", segment)[-1]


def _named_by(content_disposition: str) -> str:
    """The name the header gives; of two, the encoded one (``filename*``), as RFC 6266 says."""
    message = Message()
    try:
        message["Content-Disposition"] = content_disposition[:_LONGEST_HEADER]
        parameters = cast("list[tuple[str, _Value]]", message.get_params([], header="Content-Disposition"))
        names = [value for key, value in parameters if key.lower() == "filename"]
        encoded = [collapse_rfc2231_value(value) for value in names if isinstance(value, tuple)]
    except (ValueError, LookupError):
        return ""
    name = [*encoded, *names, ""][0]
    return PurePosixPath(str(name).replace("\\", "/")).name
