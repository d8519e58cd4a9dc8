"""A call to a generator, as it is kept for people to look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Exchange:
    """A call that was made: ``status`` None and a ``fault`` if it was not answered."""

    headers: Mapping[str, str]
    body: bytes
    status: int | None = None
    answer: bytes = b""
    fault: str = ""
    content_type: str = ""


Note = Callable[[Exchange], object]


def unheard(_exchange: Exchange) -> None:
    """For callers that keep no record of their calls."""
