"""Memory for parts, given back to the system when a transfer ends."""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # malloc.h
_MAPPED_BYTES = 4 * 1024 * 1024


def keep_memory_small() -> None:
    """Have glibc map every part's buffer by itself, so that freeing it gives the memory back.

    Left alone, it raises its limit after the first one and keeps the rest in heaps, one for each thread: a worker
    then grew from 110 to 220 MB in two transfers.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and needs none
        if mallopt:
            mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
