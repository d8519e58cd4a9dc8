"""Figures as people read them: sizes, times, and how far something is."""

from collections.abc import Sequence

from videovault.services import sizes

WORDS_A_MINUTE = 150
AGAIN = {
    "transfer": "Trying again goes on from where it broke.",
    "generation": "Trying again renders it anew with all that you entered, and is paid for again.",
}
WRITING = "Writing the script"
UNDO, REDO = "Undo", "Redo"
REWRITTEN = {
    "hook": "The hook is written anew. You can undo it.",
    "body": "The body is written anew. You can undo it.",
    "conclusion": "The conclusion is written anew. You can undo it.",
}
# Filled in by the browser as one types; see assets/js/meter.js.
METER = {
    "one": "1 word, {time} spoken",
    "many": "{words} words, {time} spoken",
    "seconds": "{seconds} s",
}
# What the browser says of selected videos by itself; {n}, {all} and {size} are filled in there.
SELECTION = {
    "name": "Selected videos",
    "selected": "{n} selected",
    "selected_size": "{n} selected, {size}",
    "every": "Select all shown",
    "none": "Clear",
    "download": "Download",
    "delete": "Delete",
    "downloading": "Downloading {n} of {all}",
    "downloaded": "Downloads started: {n}",
}
size = sizes.size  # the services' own sentences name sizes too


def clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``: whole seconds that have passed, as players show it."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def about(seconds: float) -> str:
    """``8 seconds``, ``2 minutes``, ``3 hours``: rounded, as one would say it."""
    for length, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= length * 0.95 or unit == "second":
            number = max(1, round(seconds / length))
            return f"{number} {unit}{'s' if number > 1 else ''}"
    raise AssertionError("unreachable")


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def shortened(text: str, longest: int = 60) -> str:
    """At most so many characters, with an ellipsis for what is left out."""
    return text if len(text) <= longest else text[: longest - 1].rstrip(" ,;:") + "…"


GB = 1000**3
STATES = {"ok": "OK", "warning": "Warning", "broken": "Broken"}
VERDICTS = {
    "accepted": "Accepted",
    "duplicate": "Known already",
    "superseded": "Too late",
    "refused": "Refused",
}
CALLS = {
    ("out", "script"): "We asked for a script",
    ("out", "video"): "We asked for a video",
    ("out", "poll"): "We asked how far a video is",
    ("in", "status"): "A generator reported",
}


def code_apart(text: str) -> list[str]:
    """Text and what stands between backticks in turn, the text first."""
    return text.split("`")


def of_many(number: int, total: int) -> str:
    """``3 of 1,200``"""
    return f"{number:,} of {total:,}"


def place(first: int, last: int, total: int) -> str:
    """Which part of a long list is shown: ``51-100 of 1,200``, with a dash between figures."""
    return f"{first:,}\u2013{last:,} of {total:,}"


def amount(number: int, size_in_bytes: int) -> str:
    """``3 videos, 412 MB``; without the size where nothing is stored."""
    return ", ".join(filter(None, (counted(number, "video"), size(size_in_bytes) if size_in_bytes else "")))


def found(number: int, *, is_all: bool) -> str:
    """How many videos a search has found, as far as it has looked."""
    if not number:
        return "No videos found"
    return f"{counted(number, 'video')} found" if is_all else f"More than {counted(number, 'video')} found"


def deleted(titles: Sequence[str]) -> str:
    return (
        f"“{shortened(titles[0])}” is deleted."
        if len(titles) == 1
        else f"{len(titles):,} videos are deleted."
    )


def not_deleted(number: int, of: int) -> str:
    if of == 1:
        return "This video could not be deleted. Its card says why."
    return f"{number:,} of {of:,} videos could not be deleted. Their cards say why."
