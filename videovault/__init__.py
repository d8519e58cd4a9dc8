"""VideoVault."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__version__ = "0.2.0"  # as in pyproject.toml, which an image need not contain

# Imports create hardly any garbage; with Python's own threshold, a fifth of each start is spent looking for it.
gc.set_threshold(50_000, 100, 10)

# httpx's command line, which httpx imports if it can: 60 ms for rich, click and pygments. None blocks the import.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


@contextmanager
def unavailable(*modules: str) -> Iterator[None]:
    """Imports of these modules fail in the block, unless they are loaded already.

    For libraries that load optional dependencies at import, which would cost every process CPU time and memory.
    """
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None, as above
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
