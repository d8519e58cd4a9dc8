"""A ledger in a file, for transfers that belong to no video: those of the command line and of the benchmarks."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock

from videovault.services.engine.shapes import Begun, StoredPart


class FileLedger:
    """In a JSON file, which is there as long as the upload is unfinished."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._begun: Begun | None = None

    def load(self) -> Begun | None:
        """What the file tells; a damaged one is as good as none."""
        try:
            kept = json.loads(self._path.read_text())
            parts = tuple(StoredPart(**part) for part in kept["parts"])
            self._begun = Begun.from_facts(kept["upload_id"], kept, parts)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            self._begun = None
        return self._begun

    def begin(self, begun: Begun) -> None:
        with self._lock:
            self._save(begun)

    def add(self, part: StoredPart) -> None:
        with self._lock:
            if self._begun:
                self._save(replace(self._begun, parts=(*self._begun.parts, part)))

    def clear(self) -> None:
        with self._lock:
            self._begun = None
            self._path.unlink(missing_ok=True)

    def _save(self, begun: Begun) -> None:
        self._begun = begun
        kept = {
            "upload_id": begun.upload_id,
            **begun.facts(),
            "parts": [asdict(part) for part in begun.parts],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._path)
