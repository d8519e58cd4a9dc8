"""Capabilities of a store, probed once and remembered: checksums per call, metadata, tags, upload lists, versions."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any, Protocol

# Rejected features are tried again after this time, since a store may gain them.
RECHECK_AFTER = timedelta(days=30)
# Other processes write to the same memory.
RELOAD_SECONDS = 60.0


class S3Call(StrEnum):
    """The calls that carry a checksum, or ask for one."""

    PUT = "PutObject"
    CREATE = "CreateMultipartUpload"
    PART = "UploadPart"
    COMPLETE = "CompleteMultipartUpload"
    HEAD = "HeadObject"
    GET = "GetObject"
    COPY = "CopyObject"


class Checksum(StrEnum):
    """The checksum that a call sends, best first."""

    CRC32 = "CRC-32"
    MD5 = "MD5"
    NONE = "none"


class Feature(StrEnum):
    """Other optional features of a store."""

    METADATA = "metadata"
    TAGGING = "tagging"
    LIST_UPLOADS = "listing uploads"
    VERSIONED = "versions"
    DELETE_VERSIONS = "deleting versions"


# Of an unknown store.
ASSUMED = {
    Feature.METADATA: True,
    Feature.TAGGING: True,
    Feature.LIST_UPLOADS: True,
    Feature.VERSIONED: False,
    Feature.DELETE_VERSIONS: True,
}
# Trying these shows whether they work. The others stay: objects without metadata must not look swapped after a month.
RECHECKED = {*S3Call, Feature.TAGGING, Feature.LIST_UPLOADS}
WITH_MD5 = {S3Call.PUT, S3Call.PART}


@dataclass(frozen=True)
class Fact:
    """``value`` is a ``Checksum`` for a call, ``yes`` or ``no`` for a feature; ``why`` is the store's message."""

    value: str
    at: datetime
    why: str = ""

    @classmethod
    def now(cls, value: str, why: str = "") -> "Fact":
        return cls(value, datetime.now(UTC), why)


Facts = dict[str, Fact]


class Memory(Protocol):
    """Stores facts beyond this process. Neither call raises."""

    def load(self, store: str) -> Facts: ...

    def save(self, store: str, facts: Facts) -> None: ...


class NoMemory:
    """For programs without a database."""

    def load(self, store: str) -> Facts:
        del store
        return {}

    def save(self, store: str, facts: Facts) -> None:
        """Do nothing."""


@dataclass
class _Current:
    memory: Memory


_current = _Current(NoMemory())


def use_memory(memory: Memory) -> None:
    """Store the capabilities of all stores in ``memory`` from now on."""
    _current.memory = memory


@contextmanager
def without_memory() -> Iterator[None]:
    """Do not use the database inside the block, since it is about to be replaced."""
    before, _current.memory = _current.memory, NoMemory()
    try:
        yield
    finally:
        _current.memory = before


class Capabilities:
    """The capabilities of one bucket, shared by all threads. Features are assumed to work until rejected."""

    def __init__(self, store: str, fixed: Mapping[str, str] | None = None) -> None:
        """``fixed`` are constant facts of a known store."""
        self._store = store
        self._fixed = {name: Fact.now(value) for name, value in (fixed or {}).items()}
        self._facts: Facts = {}
        self._lock = Lock()
        self._loaded_at: float | None = None

    def checksum_for(self, call: S3Call) -> Checksum:
        """The checksum that a call should send. The three calls of a multipart upload have to match."""
        chosen = self._known_checksum(call)
        if call is S3Call.CREATE and self._known_checksum(S3Call.PART) is not Checksum.CRC32:
            return Checksum.NONE
        if call is S3Call.PART and self._known_checksum(S3Call.CREATE) is not Checksum.CRC32:
            return max(chosen, Checksum.MD5, key=list(Checksum).index)
        if call is S3Call.COMPLETE and self.checksum_for(S3Call.PART) is not Checksum.CRC32:
            return Checksum.NONE
        return chosen

    def can(self, feature: Feature) -> bool:
        fact = self._known().get(feature)
        return fact.value == "yes" if fact else ASSUMED[feature]

    def fact(self, name: str) -> Fact | None:
        return self._known().get(name)

    @property
    def facts(self) -> Facts:
        """All known facts, for display."""
        return dict(self._known())

    def note(self, feature: Feature, *, can: bool, why: str = "") -> None:
        """Remember one fact that a call has shown."""
        known = self._known().get(feature)
        value = "yes" if can else "no"
        if known is None or (known.value, known.why) != (value, why):
            self.learn({feature: Fact.now(value, why)})

    def learn(self, facts: Facts) -> None:
        """Replace known facts, here and in the memory."""
        if self._fixed:
            return
        with self._lock:
            self._facts |= facts
            kept = dict(self._facts)
        _current.memory.save(self._store, kept)

    def _known_checksum(self, call: S3Call) -> Checksum:
        fact = self._known().get(call)
        return Checksum(fact.value) if fact else Checksum.CRC32

    def _known(self) -> Facts:
        if self._fixed:
            return self._fixed
        with self._lock:
            due = self._loaded_at is None or time.monotonic() - self._loaded_at > RELOAD_SECONDS
            if due:
                self._loaded_at = time.monotonic()
        if due:
            self._merge(_current.memory.load(self._store))
        oldest = datetime.now(UTC) - RECHECK_AFTER
        return {
            name: fact
            for name, fact in self._facts.copy().items()
            if fact.at > oldest or name not in RECHECKED
        }

    def _merge(self, loaded: Facts) -> None:
        """Keep the newer of each fact."""
        with self._lock:
            for name, fact in loaded.items():
                known = self._facts.get(name)
                if known is None or known.at < fact.at:
                    self._facts[name] = fact


def as_json(facts: Facts) -> dict[str, Any]:
    return {name: asdict(fact) | {"at": fact.at.isoformat()} for name, fact in facts.items()}


def from_json(kept: Mapping[str, Any]) -> Facts:
    """The facts that this version understands, since another one may have written them."""
    found: Facts = {}
    for name, stored in kept.items():
        try:
            fact = Fact(
                str(stored["value"]), datetime.fromisoformat(stored["at"]), str(stored.get("why", ""))
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        fact = fact if fact.at.tzinfo else replace(fact, at=fact.at.replace(tzinfo=UTC))
        values = {each.value for each in Checksum} if name in set(S3Call) else {"yes", "no"}
        if fact.value in values:
            found[name] = fact
    return found
