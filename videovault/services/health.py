"""Whether the parts that this installation stands on can be reached, each tried for real."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import TypeVar

from sqlmodel import select

from videovault import logs
from videovault.db import reading
from videovault.errors import VideoVaultError
from videovault.gateways import storage
from videovault.models import User

OK = "ok"
T = TypeVar("T")
PATIENCE_SECONDS = 5.0
log = logs.get(__name__)


def check(others: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """By name of the part ``ok`` or a sentence on what is wrong; ``others`` are parts of higher layers."""
    parts: dict[str, Callable[[], object]] = {"database": _database, "s3": _s3, **others}
    tried = {name: started(name, look) for name, look in parts.items()}
    wait(tried.values(), timeout=PATIENCE_SECONDS)
    return {name: _outcome(name, future) for name, future in tried.items()}


def _database() -> None:
    with reading() as session:
        session.exec(select(User.id).limit(1)).first()


def _s3() -> None:
    # A listing needs the bucket and the permission, and nothing lies under this name.
    next(iter(storage.connected().keys("readyz/")), None)


def started(name: str, look: Callable[[], T]) -> Future[T]:
    """Begin in a thread of its own: one that hangs is left behind and keeps nobody waiting."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(look())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to the question
            outcome.set_exception(error)

    threading.Thread(target=run, name=f"health-{name}", daemon=True).start()
    return outcome


def _outcome(name: str, future: Future[object]) -> str:
    try:
        future.result(timeout=0)
    except TimeoutError:
        return f"The {name} did not answer within {PATIENCE_SECONDS:g} seconds."
    except VideoVaultError as error:
        return error.public_message
    except Exception:  # the reason is for the log only: it may tell addresses and names
        log.exception("health check failed", part=name)
        return f"The {name} could not be used; the log tells why."
    return OK
