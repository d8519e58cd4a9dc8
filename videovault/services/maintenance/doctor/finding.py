"""One line of the doctor's report, and looking at a part that may hang."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from videovault.config import settings
from videovault.errors import VideoVaultError
from videovault.services.admin.health import SharedRun

SECONDS = 8.0  # more than the timeouts of the connections themselves
MASK = "[redacted]"
State = Literal["ok", "warning", "broken", "skipped"]


@dataclass(frozen=True)
class Finding:
    """``found`` is a sentence, ``advice`` how to repair it, ``details`` further sentences; skipped: not looked at."""

    name: str
    title: str
    state: State
    found: str
    advice: str = ""
    details: tuple[str, ...] = ()


def look_at(name: str, title: str, look: Callable[[], str], advice: str) -> Finding:
    """Run ``look``, which returns a sentence, in a thread of its own, with a deadline; an error makes it broken."""
    try:
        return Finding(name, title, "ok", SharedRun[str](f"doctor {name}").start(look).result(SECONDS))
    except TimeoutError:
        return Finding(name, title, "broken", f"No answer within {SECONDS:g} seconds.", advice)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is the finding
        return Finding(name, title, "broken", reason_of(error), advice)


def reason_of(error: BaseException) -> str:
    """The driver's own words, without secrets: who runs the doctor has access to the machine."""
    if isinstance(error, VideoVaultError):
        text = error.public_message
    else:
        cause = getattr(error, "orig", None) or error
        text = " ".join(str(cause).split()) or type(cause).__name__
    for secret in settings().secrets:
        text = text.replace(secret, MASK)
    return text
