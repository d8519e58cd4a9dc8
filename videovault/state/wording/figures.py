"""Figures as people read them: sizes, times, and places in a list."""

from videovault import formatting

WORDS_A_MINUTE = 150
GB = 1000**3
# In seconds, with the words for one and for several.
SPANS = (
    (3600, "1 hour", "{n} hours"),
    (60, "1 minute", "{n} minutes"),
    (1, "1 second", "{n} seconds"),
)
size = formatting.format_size  # the services' own sentences name sizes too


def clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``: whole seconds that have passed, as players show it."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def about(seconds: float) -> str:
    """``8 seconds``, ``2 minutes``, ``3 hours``: rounded, as one would say it."""
    length, one, many = next((span for span in SPANS if seconds >= span[0] * 0.95), SPANS[-1])
    number = max(1, round(seconds / length))
    return one if number == 1 else many.format(n=number)


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
