"""A ledger in a file, for transfers that belong to no video: those of the command line and of the benchmarks."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from videovault.services.engine.shapes import Begun, StoredPart


class FileLedger:
    """A line of JSON for the upload and one for each part, in a file that is there as long as it is unfinished."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._known = False

    def load(self) -> Begun | None:
        """What the file tells; a damaged one is as good as none."""
        begun = None
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            text = self._path.read_text()
            first, *others = text.splitlines()
            kept = json.loads(first)
            begun = Begun.from_facts(kept["upload_id"], kept, tuple(_parts(others)))
            if not text.endswith("\n"):
                self.begin(begun)  # else the next part would be written behind a line that was cut off
        self._known = begun is not None
        return begun

    def begin(self, begun: Begun) -> None:
        lines = [{"upload_id": begun.upload_id, **begun.facts()}, *(asdict(part) for part in begun.parts)]
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(f".{os.getpid()}")
            fresh.write_text("".join(json.dumps(line) + "\n" for line in lines))
            fresh.replace(self._path)
            self._known = True

    def add(self, part: StoredPart) -> None:
        with self._lock:
            if self._known:
                with self._path.open("a") as file:
                    file.write(json.dumps(vars(part)) + "\n")

    def clear(self) -> None:
        with self._lock:
            self._known = False
            self._path.unlink(missing_ok=True)


def _parts(lines: Iterable[str]) -> Iterable[StoredPart]:
    """All up to a line that a crash cut off."""
    with suppress(ValueError, TypeError):
        for line in lines:
            yield StoredPart(**json.loads(line))
