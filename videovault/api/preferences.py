"""How long a caller wants to be kept waiting: the Prefer header of RFC 7240."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.request import parse_http_list

from fastapi import Depends, Header

SHOWN = "Which preferences were followed, as RFC 7240 has it"


@dataclass(frozen=True)
class Preferences:
    """``respond_async`` without ``wait`` (seconds): answer at once."""

    respond_async: bool = False
    wait: int | None = None

    def seconds(self, longest: float) -> float:
        """How long to wait, where the server itself would wait for ``longest`` seconds."""
        if self.wait is not None:
            return min(self.wait, longest)
        return 0.0 if self.respond_async else longest

    def applied(self, status: int, longest: float) -> str:
        """Preference-Applied of an answer with this status; empty if none was."""
        followed = {
            "respond-async": self.respond_async and status == 202,
            f"wait={self.wait}": self.wait is not None and self.wait <= longest,
        }
        return ", ".join(name for name, was in followed.items() if was)


def parsed(headers: Sequence[str]) -> Preferences:
    """Unknown and malformed preferences are ignored, and of one that is named twice the first counts (RFC 7240, 2)."""
    named: dict[str, str] = {}
    for item in parse_http_list(", ".join(headers)):
        name, _, value = item.partition(";")[0].partition("=")
        named.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = named.get("wait", "")
    is_number = wait.isascii() and wait.isdecimal() and len(wait) <= 9
    return Preferences("respond-async" in named, int(wait) if is_number else None)


def _preferences(
    prefer: Annotated[
        list[str] | None,
        Header(
            description="`respond-async`: answer 202 at once. `wait=10`: answer 202 after so many seconds, "
            "at most as many as the server waits by itself."
        ),
    ] = None,
) -> Preferences:
    return parsed(prefer or [])


Preferred = Annotated[Preferences, Depends(_preferences)]
