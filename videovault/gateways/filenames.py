"""Untrusted file names, made safe to display and to save under."""

import re
import unicodedata
from urllib.parse import unquote, urlsplit

MAX_CHARS = 100
UNNAMED = "video"

_MAX_HEADER_CHARS = 8 * 1024
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|]')
# RFC 6266; tolerates a quoted value without its end.
_PARAMETER = re.compile(
    r';\s*([a-z0-9-]{1,40}\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|\Z)|([^;"]*))', re.IGNORECASE
)
# RFC 8187 allows the first two; others must not choose among Python's many codecs.
_CHARSETS = ("utf-8", "iso-8859-1", "windows-1252")
_ESCAPED = re.compile(r"\\(.)")
_JOINERS = "\u200c\u200d"  # invisible, but needed for Persian and for combined emoji


def title_from_url(url: str) -> str:
    """The file name in the URL without its extension: ``video`` for ``https://host/a/video.mp4?x=1``."""
    return title_from_name(_last_segment(url)) or UNNAMED


def title_from_name(name: str) -> str:
    """The file name without its extension; may be empty."""
    stem, dot, extension = name.rpartition(".")
    # An extension is short and has a letter: "v1.2" and "The end. Really" have none.
    has_extension = dot and re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,4}", extension)
    return safe_name(stem if has_extension else name)


def filename_hint(content_disposition: str, url: str) -> str:
    """A file name with its extension, from the header if it has one, otherwise from the URL."""
    return name_in_header(content_disposition) or safe_name(_last_segment(url)) or UNNAMED


def name_in_header(content_disposition: str) -> str:
    """The file name with its extension in the header (RFC 6266); empty without one."""
    name = _raw_name(content_disposition)
    is_extension = name.startswith(".") and "." not in name[1:]
    return "" if is_extension else safe_name(name)


def safe_name(text: str) -> str:
    """At most 100 characters without path separators, controls or direction overrides; may be empty."""
    visible = "".join(filter(_is_displayable, unicodedata.normalize("NFC", text)))
    name = " ".join(_NOT_IN_NAMES.sub("_", visible).split())
    return name.strip(" .")[:MAX_CHARS].rstrip(" .")


def _is_displayable(char: str) -> bool:
    return char.isprintable() or char.isspace() or char in _JOINERS


def _last_segment(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    segment = unquote(path.rpartition("/")[2]).replace("\ufffd", "")
    return re.split(r"[/\\]", segment)[-1]


def _raw_name(content_disposition: str) -> str:
    """The name in the header; of two, the encoded one (``filename*``), as RFC 6266 requires."""
    header = content_disposition[:_MAX_HEADER_CHARS].rstrip("\\")
    named = {match[1].lower(): match for match in reversed(list(_PARAMETER.finditer(header)))}
    name = ""
    if encoded := named.get("filename*"):
        name = _decoded(encoded[3] or encoded[2] or "")
    if not name and (plain := named.get("filename")):
        name = (plain[3] or "").strip() if plain[2] is None else _ESCAPED.sub(r"\1", plain[2])
        name = _unquoted(name)
    return re.split(r"[/\\]", name)[-1]


def _decoded(value: str) -> str:
    """RFC 8187: a charset, a language and a percent-encoded value."""
    charset, _, rest = value.strip().partition("'")
    known = charset.lower() if charset.lower() in _CHARSETS else "latin-1"
    return unquote(rest.partition("'")[2], known, "replace")


def _unquoted(name: str) -> str:
    """Many servers percent-encode the plain name, too; browsers decode it where it is UTF-8."""
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
