"""Figures as people read them: sizes, times, and how far something is."""

from collections.abc import Sequence

from videovault.services import sizes

WORDS_A_MINUTE = 150
AGAIN = {
    "transfer": "Trying again goes on from where it broke.",
    "generation": "Trying again renders it anew with all that you entered, and is paid for again.",
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


def meter(text: str) -> str:
    """How long a text is: ``24 words, 10 s spoken``."""
    words = len(text.split())
    spoken = round(words * 60 / WORDS_A_MINUTE)
    length = f"{spoken} s" if spoken < 60 else clock(spoken)
    return f"{words} word{'' if words == 1 else 's'}, {length} spoken"


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def shortened(text: str, longest: int = 60) -> str:
    """At most so many characters, with an ellipsis for what is left out."""
    return text if len(text) <= longest else text[: longest - 1].rstrip(" ,;:") + "…"


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
