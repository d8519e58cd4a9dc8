"""Returns memory to the system after many pages have closed."""

import asyncio
import ctypes
import gc
from contextlib import suppress

PAUSE_SECONDS = 10.0  # between two times, however many pages close


class Reclaiming:
    """Closed sockets leave reference cycles, and the C library keeps what they have freed."""

    def __init__(self) -> None:
        self._planned: asyncio.TimerHandle | None = None

    def plan(self) -> None:
        """Do it soon, once for all pages that close until then."""
        if self._planned is None:
            self._planned = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._reclaim)

    def _reclaim(self) -> None:
        self._planned = None
        gc.collect()
        asyncio.get_running_loop().run_in_executor(None, _trim)


def _trim() -> None:
    with suppress(AttributeError, OSError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
