"""Texts that pages show in more than one place, and sentences with numbers in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from videovault.formatting import format_duration, format_size
from videovault.models import CopyState, Playback
from videovault.services.core.views import CopyView, Metadata

WORDS_A_MINUTE = 150

# Actions.
IMPORT_FROM_LINK = "Import from link"
CANCEL = "Cancel"
CHANGE_PASSWORD = "Change password"  # noqa: S105 - a label
CLEAR = "Clear"
CLOSE = "Close"
CREATE_ACCOUNT = "Create account"
DELETE = "Delete"
DELETE_ACCOUNT = "Delete my account"
DOWNLOAD = "Download"
FORGOT_PASSWORD = "Forgot your password?"  # noqa: S105 - a question
REPAIR = "Repair"
NEW_VIDEO = "New video"
OPEN = "Open"
SAVE = "Save"
SEARCH = "Search"
SHOW = "Show"
SHOW_OLDER = "Show older"
SIGN_IN, SIGN_OUT = "Sign in", "Sign out"
ATTACH_FILE = "Attach file…"
TRY_AGAIN = "Try again"
RETRY, GENERATE_AGAIN, COPY_AGAIN = "Retry", "Generate again", "Make a copy again"
UNDO, REDO = "Undo", "Redo"

# Names of things.
ACCOUNT = "Account"
ACTIVITY = "Activity"
ADMIN = "Admin"
ALL_VIDEOS = "All videos"
AVATARS, ADD_AVATAR, AVATAR_ID = "Avatars", "Add avatar", "Avatar ID"
APPEARANCE = "Appearance"
DAY = "Day"
CLIENT_IP = "IP address"
EMAIL = "E-mail"
WAITING_FOR_SERVER = "Waiting for the server… This page continues by itself, and keeps what you typed."
GALLERY = "Gallery"
NAME = "Name"
NAME_OR_EMAIL = "Name or e-mail"
NEW_PASSWORD = "New password"  # noqa: S105 - a label
NO_LIMIT = "No limit"
OPTIONAL = "optional"
PASSWORD = "Password"  # noqa: S105 - a label
PEOPLE = "People"
RESULTS = "Results"
STORAGE = "Storage"
STORED_PER_DAY = "Stored per day"
SYSTEM = "System"
TITLE = "Title"
VIDEOS = "Videos"
VIDEO_URL = "Video URL"
# The sortable columns of the admin's table.
COLUMNS = {"title": TITLE, "owner": "Owner", "status": "Status", "size": "Size", "created": "Created"}

# The status of a video.
CANCELLED = "Cancelled"
DRAFT = "Draft"
FAILED = "Failed"
PROCESSING = "Processing"
READY = "Ready"
REQUESTED = "Requested"
PROGRESS = "Progress"
HANDING_OVER = "Sending the request"
WAITING_FOR_FILE = "Waiting for the generator's file"
MAKING = "Making the video"
AWAITING = "Waiting for the generator"
FIELD_RESET = "The address is again looked for in the whole answer."
UNREAD = "The generator's answer could not be read."
UNANSWERED = "The generator's answer was lost. Open the video to order it again."
ANSWER = "Answer"
LEFT_EMPTY = "The script service left this part empty. Write it here."
WRITING = "Writing the script"
CHECKING = "Checking…"
SOMETHING_WENT_WRONG = "Something went wrong"
LINK_IS_DEAD = "This link no longer works"
PAGE_NOT_FOUND = "Page not found"
MISTYPED = "The address may be mistyped, or the page has been removed."
SCRIPT_LOST = {
    "script": "The server was interrupted, and the script was lost with it. Your brief is still here: write the script again.",
    **dict.fromkeys(
        ("hook", "body", "conclusion"),
        "The server was interrupted, and the new text was lost with it. Press Rewrite to ask for it again.",
    ),
}
REWRITTEN = {"hook": "Hook rewritten.", "body": "Body rewritten.", "conclusion": "Conclusion rewritten."}
RETRY_NOTES = {
    "transfer": "Retry fetches the video again. It costs nothing.",
    "generation": "Retrying renders it again and may use another credit.",
    "copy": "",  # the playback note says it already
}
RENDERS_AGAIN = "Retrying renders it again."  # with the built-in studio, which costs nothing

EXAMPLE_TOPIC = "Three things that make a home ready to sell"

# The installation, and webhook calls.
STATES = {"ok": "OK", "warning": "Warning", "broken": "Broken"}
VERDICTS = {
    "accepted": "Accepted",
    "duplicate": "Already known",
    "superseded": "Too late",
    "unread": "Not understood",
    "refused": "Refused",
}
CALLS = {
    ("out", "script"): "Script requested",
    ("out", "video"): "Video requested",
    ("out", "poll"): "Status polled",
    ("in", "status"): "Generator report",
}
UNPROVEN = "Unverified report"

# The script's length, filled in by the browser while typing; see assets/js/word_count.js.
METER = {
    "one": "1 word, {time} spoken",
    "many": "{words} words, {time} spoken",
    "seconds": "{seconds} s",
}
# The selection bar; the browser fills in {n}, {all} and {size}.
SELECTION = {
    "name": "Selected videos",
    "selected": "{n} selected",
    "selected_size": "{n} selected, {size}",
    "every": "Select all shown",
    "none": CLEAR,
    "download": DOWNLOAD,
    "delete": DELETE,
    "downloading": "Downloading {n} of {all}",
    "downloaded": "Downloads started: {n}",
}


def to_delete(what: Any) -> str:
    return f"Delete {what}"


def to_download(title: Any) -> str:
    return f"Download {title}"


def to_select(title: Any) -> str:
    return f"Select {title}"


def expires(moment: Any) -> str:
    return f"Expires {moment}."


def to_do(what: Any, title: Any) -> Any:
    return f"{what}: {title}"


@dataclass(frozen=True)
class Counted:
    """A text for one and for several things; ``{n}`` stands for the number."""

    one: str
    many: str

    def __call__(self, number: int) -> str:
        return (self.one if number == 1 else self.many).format(n=f"{number:,}")


videos = Counted("1 video", "{n} videos")
accounts = Counted("1 account", "{n} accounts")
objects = Counted("1 object", "{n} objects")
mismatches = Counted("1 mismatch", "{n} mismatches")
with_warnings = Counted("Everything works, with 1 warning.", "Everything works, with {n} warnings.")
times = Counted("once", "{n} times")
_queued = Counted("1 video queued.", "{n} videos queued.")
_continued = Counted("1 waiting video continues.", "{n} waiting videos continue.")
_deleted = Counted("1 video deleted.", "{n} videos deleted.")
_opened = Counted("Opened once.", "Opened {n} times.")
_ready = Counted("1 video is ready", "{n} videos are ready")
_failed = Counted("1 video failed", "{n} videos failed")
_left_in_total = Counted("1 video left today for all accounts", "{n} videos left today for all accounts")
_found_all = Counted("1 video found", "{n} videos found")
_found_more = Counted("More than 1 video found", "More than {n} videos found")
RESET_TIME = "You can make more after midnight UTC."


def views_used(views: int, max_views: int | None) -> str:
    if max_views:
        return f"Views used: {of_many(views, max_views)}."
    return _opened(views) if views else "Not opened yet."


def budget(limit: int | None, left: int | None, in_total: int | None) -> str:
    """How many videos may still be made today, by the limit that is reached first; empty without limits."""
    if in_total is not None and (left is None or in_total < left):
        return (
            _left_in_total(in_total)
            if in_total
            else f"This installation has no videos left today. {RESET_TIME}"
        )
    if left is None or limit is None:
        return ""
    noun = "video" if limit == 1 else "videos"
    return (
        f"{of_many(left, limit)} {noun} left today"
        if left
        else f"You have no videos left today. {RESET_TIME}"
    )


def ready_and_failed(ready: int, failed: int) -> str:
    """``2 videos are ready, 1 video failed``"""
    return ", ".join(text(number) for text, number in ((_ready, ready), (_failed, failed)) if number)


def videos_and_size(number: int, size: int) -> str:
    """``3 videos, 412 MB``; without the size if nothing is stored."""
    return f"{videos(number)}, {format_size(size)}" if size else videos(number)


def found(number: int, *, is_all: bool) -> str:
    """How many videos a search has found, as far as it has looked."""
    if not number:
        return "No videos found"
    return _found_all(number) if is_all else _found_more(number)


def deleted(titles: Sequence[str]) -> str:
    return (
        f"“{shortened(titles[0])}” is deleted."
        if len(titles) == 1
        else f"{len(titles):,} videos are deleted."
    )


def not_deleted(number: int, total: int) -> str:
    if total == 1:
        return "This video could not be deleted. Its card says why."
    return f"{of_many(number, total)} videos could not be deleted. Their cards say why."


def carried_out(what: str, done: int, total: int) -> str:
    """How many videos were deleted or queued."""
    counted, verb = (_deleted, "deleted") if what == "delete" else (_queued, "queued")
    if done == total:
        return counted(total)
    return f"{of_many(done, total)} videos {verb}. The others stay selected."


def field_chosen(setting: str, path: str, videos_continued: int) -> str:
    """That answers are read from this field from now on, and how to set it in the environment."""
    continued = f" {_continued(videos_continued)}" if videos_continued else ""
    return f"Addresses are read from {path} from now on.{continued} To set it in .env: {setting}={path}"


def time_left(seconds: float) -> str:
    return f"about {format_duration(seconds)} left"


def shortened(text: str, length: int = 60) -> str:
    """At most ``length`` characters, with an ellipsis for what is left out."""
    return text if len(text) <= length else text[: length - 1].rstrip(" ,;:") + "…"


def split_code(text: str) -> list[str]:
    """Text and code in backticks in turn, the text first."""
    return text.split("`")


def of_many(number: int, total: int) -> str:
    """``3 of 1,200``"""
    return f"{number:,} of {total:,}"


def rows_shown(first: int, last: int, total: str) -> str:
    """The part of a long list that is shown: ``51-100 of 1,200``, with a dash between the numbers."""
    return f"{first:,}\u2013{last:,} of {total}"


def at_least(number: int, *, has_more: bool) -> str:
    """``1,200``, or ``more than 10,000`` where counting ended."""
    return f"more than {number:,}" if has_more else f"{number:,}"


# Videos that most browsers cannot play.

CODECS = {
    "h264": "H.264",
    "hevc": "HEVC",
    "prores": "ProRes",
    "mpeg4": "MPEG-4 Part 2",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "mjpeg": "Motion JPEG",
    "dnxhd": "DNxHD",
    "vvc": "VVC",
    "pcm_s16le": "PCM",
    "ac3": "AC-3",
    "eac3": "E-AC-3",
    "mp2": "MP2",
    "dts": "DTS",
}
CANNOT_PLAY = "Most browsers cannot play this video ({kind})."
BEING_COPIED = f"{CANNOT_PLAY} A copy that they can play is being made."
PLAYBACK_NOTES = {
    CopyState.DUE: BEING_COPIED,
    CopyState.MAKING: BEING_COPIED,
    CopyState.READY: "You are watching a copy, because most browsers cannot play the original ({kind}). "
    "Download saves the original.",
    CopyState.FAILED: f"{CANNOT_PLAY} No copy could be made{{why}}. Download it to watch it in another player.",
    None: f"{CANNOT_PLAY} Download it to watch it in another player.",
}


def playback_note(metadata: Metadata | None, copy: CopyView | None) -> str:
    """Empty for a video that plays everywhere, or for which that is not known."""
    if metadata is None or metadata.playback != Playback.LIMITED:
        return ""
    why = f": {copy.error.rstrip('.')}" if copy and copy.error else ""
    return PLAYBACK_NOTES[copy.state if copy else None].format(kind=_format(metadata), why=why)


def _format(metadata: Metadata) -> str:
    """``HEVC in MP4``, ``H.264, 10 bits, in MKV``, ``H.264 with AC-3 sound in MP4``"""
    found = _codec(metadata.video_codec) if metadata.video_codec else "an unknown format"
    if metadata.bit_depth and metadata.bit_depth > 8:
        found = f"{found}, {metadata.bit_depth} bits,"
    elif metadata.audio_codec not in (None, "aac", "mp3", "opus", "vorbis"):
        found = f"{found} with {_codec(str(metadata.audio_codec))} sound"
    return f"{found} in {metadata.format.upper()}" if metadata.format else found


def _codec(name: str) -> str:
    return CODECS.get(name, name.upper())
