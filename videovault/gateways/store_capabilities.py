"""What a store can do, learned once and kept: checksums for each call, metadata, tags, listing uploads, versions."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any, Protocol

# A store may learn what it could not do: what it refused is tried again after so long.
RECHECK_AFTER = timedelta(days=30)
# Other processes write what they learned into the same place.
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
    """How a call is proven to the store, the best first."""

    CRC32 = "CRC-32"
    MD5 = "MD5"
    NONE = "none"


class Feature(StrEnum):
    """What else a store may or may not do."""

    METADATA = "metadata"
    TAGGING = "tagging"
    LIST_UPLOADS = "listing uploads"
    VERSIONED = "versions"
    DELETE_VERSIONS = "deleting versions"


# What is assumed of a store that nothing is known of.
ASSUMED = {
    Feature.METADATA: True,
    Feature.TAGGING: True,
    Feature.LIST_UPLOADS: True,
    Feature.VERSIONED: False,
    Feature.DELETE_VERSIONS: True,
}
# What shows itself when it is tried. The others stay: objects without metadata must not look swapped after a month.
RECHECKED = {*S3Call, Feature.TAGGING, Feature.LIST_UPLOADS}
WITH_MD5 = {S3Call.PUT, S3Call.PART}


@dataclass(frozen=True)
class Fact:
    """``value`` is one of ``Sums`` for a call, ``yes`` or ``no`` for a feature; ``why`` in the store's words."""

    value: str
    at: datetime
    why: str = ""

    @classmethod
    def now(cls, value: str, why: str = "") -> "Fact":
        return cls(value, datetime.now(UTC), why)


Facts = dict[str, Fact]


class Memory(Protocol):
    """Keeps what was learned beyond this process. Neither call raises."""

    def load(self, store: str) -> Facts: ...

    def save(self, store: str, facts: Facts) -> None: ...


class NoMemory:
    """For programs without a database."""

    def load(self, store: str) -> Facts:
        del store
        return {}

    def save(self, store: str, facts: Facts) -> None:
        """Nothing is kept."""


@dataclass
class _Chosen:
    memory: Memory


_chosen = _Chosen(NoMemory())


def use_memory(memory: Memory) -> None:
    """Where all stores' capabilities are kept from now on."""
    _chosen.memory = memory


@contextmanager
def without_memory() -> Iterator[None]:
    """While the block runs, the database is left alone, which is about to be replaced."""
    before, _chosen.memory = _chosen.memory, NoMemory()
    try:
        yield
    finally:
        _chosen.memory = before


class Capabilities:
    """Of one bucket on one store, shared by all threads. Everything is assumed to work until it was refused."""

    def __init__(self, store: str, fixed: Mapping[str, str] | None = None) -> None:
        """``fixed`` are facts that nothing changes, of a store that is known."""
        self._store = store
        self._fixed = {name: Fact.now(value) for name, value in (fixed or {}).items()}
        self._facts: Facts = {}
        self._lock = Lock()
        self._loaded_at: float | None = None

    def sums(self, call: S3Call) -> Checksum:
        """What a call is to carry. The three calls of a multipart upload agree with each other."""
        chosen = self._sums(call)
        if call is S3Call.CREATE and self._sums(S3Call.PART) is not Checksum.CRC32:
            return Checksum.NONE
        if call is S3Call.PART and self._sums(S3Call.CREATE) is not Checksum.CRC32:
            return max(chosen, Checksum.MD5, key=list(Checksum).index)
        if call is S3Call.COMPLETE and self.sums(S3Call.PART) is not Checksum.CRC32:
            return Checksum.NONE
        return chosen

    def can(self, feature: Feature) -> bool:
        fact = self._known().get(feature)
        return fact.value == "yes" if fact else ASSUMED[feature]

    def fact(self, name: str) -> Fact | None:
        return self._known().get(name)

    @property
    def facts(self) -> Facts:
        """All that is known, for display."""
        return dict(self._known())

    def note(self, feature: Feature, *, can: bool, why: str = "") -> None:
        """Remember one thing that a call has shown."""
        known = self._known().get(feature)
        value = "yes" if can else "no"
        if known is None or (known.value, known.why) != (value, why):
            self.learn({feature: Fact.now(value, why)})

    def learn(self, facts: Facts) -> None:
        """Remember these facts in the place of what was known of the same things, here and in the database."""
        if self._fixed:
            return
        with self._lock:
            self._facts |= facts
            kept = dict(self._facts)
        _chosen.memory.save(self._store, kept)

    def _sums(self, call: S3Call) -> Checksum:
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
            self._merge(_chosen.memory.load(self._store))
        oldest = datetime.now(UTC) - RECHECK_AFTER
        return {
            name: fact
            for name, fact in self._facts.copy().items()
            if fact.at > oldest or name not in RECHECKED
        }

    def _merge(self, loaded: Facts) -> None:
        """The newer of what both know."""
        with self._lock:
            for name, fact in loaded.items():
                known = self._facts.get(name)
                if known is None or known.at < fact.at:
                    self._facts[name] = fact


def as_json(facts: Facts) -> dict[str, Any]:
    return {name: asdict(fact) | {"at": fact.at.isoformat()} for name, fact in facts.items()}


def from_json(kept: Mapping[str, Any]) -> Facts:
    """What of it this version understands: another one may have written it."""
    found: Facts = {}
    for name, told in kept.items():
        try:
            fact = Fact(str(told["value"]), datetime.fromisoformat(told["at"]), str(told.get("why", "")))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        fact = fact if fact.at.tzinfo else replace(fact, at=fact.at.replace(tzinfo=UTC))
        values = {each.value for each in Checksum} if name in set(S3Call) else {"yes", "no"}
        if fact.value in values:
            found[name] = fact
    return found
