"""Figures as people read them: sizes, times, and places in a list."""

from videovault import formatting

WORDS_A_MINUTE = 150
GB = 1000**3
size, about = formatting.format_size, formatting.format_duration


def clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``: whole seconds that have passed, as players show it."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def left(seconds: float) -> str:
    return f"about {about(seconds)} left"


def shortened(text: str, longest: int = 60) -> str:
    """At most so many characters, with an ellipsis for what is left out."""
    return text if len(text) <= longest else text[: longest - 1].rstrip(" ,;:") + "…"


def code_apart(text: str) -> list[str]:
    """Text and what stands between backticks in turn, the text first."""
    return text.split("`")


def of_many(number: int, total: int) -> str:
    """``3 of 1,200``"""
    return f"{number:,} of {total:,}"


def place(first: int, last: int, total: int) -> str:
    """Which part of a long list is shown: ``51-100 of 1,200``, with a dash between figures."""
    return f"{first:,}\u2013{last:,} of {total:,}"
