"""The engine between a misbehaving server and an S3 proxy, with a journal that survives a run."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Event

import pytest

from tests.support.installation import Configure
from tests.support.misbehaving_server import MIB, MisbehavingServer
from tests.support.s3_proxy import S3Proxy, s3_proxy
from tests.support.waiting import eventually
from videovault.gateways import storage
from videovault.gateways.source import Source, SourcePolicy
from videovault.services.transfer.engine import (
    MultipartUpload,
    RetryPolicy,
    StoredObject,
    StoredPart,
    Target,
    Transfer,
)

PART = MIB  # S3's minimum is lowered to it: the least that proves something with several parts
KEY = "videos/one.mp4"
_numbers = count(1)
FAST_RETRIES = RetryPolicy(first_pause=0.01, max_pause=0.05, storage_seconds=20)


class Stopped(Exception):
    """Raised by the control."""


@dataclass
class MemoryJournal:
    """A journal in memory; it stands for the database after a worker has ended."""

    upload: MultipartUpload | None = None

    def load(self) -> MultipartUpload | None:
        return self.upload

    def begin(self, upload: MultipartUpload) -> None:
        self.upload = upload

    def add(self, part: StoredPart) -> None:
        assert self.upload
        self.upload = replace(self.upload, parts=(*self.upload.parts, part))

    def clear(self) -> None:
        self.upload = None


@dataclass
class Control:
    """Stops the transfer once ``stop_at`` bytes have arrived and a part is stored, or once ``stop`` is set."""

    stop_at: int | None = None
    journal: MemoryJournal | None = None
    stop: Event = field(default_factory=Event)
    seen: list[int] = field(default_factory=list)

    def check(self) -> None:
        if self.stop.is_set():
            raise Stopped

    def begin(self, bytes_total: int | None) -> None:
        """There is enough space."""

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        del bytes_total
        self.seen.append(bytes_done)
        if self.stop_at is not None and bytes_done >= self.stop_at:
            self._wait_for_a_part()
            self.stop.set()

    def _wait_for_a_part(self) -> None:
        eventually(lambda: not self.journal or (self.journal.upload and self.journal.upload.parts))


@dataclass
class Engine:
    """Runs transfers into one key, and inspects S3 afterwards."""

    source: Source
    storage: storage.Storage
    proxy: S3Proxy
    part_bytes: int = PART
    journal: MemoryJournal = field(default_factory=MemoryJournal)

    def run(
        self, url: str, *, control: Control | None = None, retry_policy: RetryPolicy = FAST_RETRIES
    ) -> StoredObject:
        control = control or Control()
        control.journal = self.journal
        target = Target(KEY, metadata={"videovault-tag": "mine"})
        return Transfer(
            self.source,
            self.storage,
            url,
            target,
            self.journal,
            control,
            retry_policy=retry_policy,
            part_bytes=self.part_bytes,
        ).run()

    def holds(self) -> bytes:
        return self.storage._s3.get_object(Bucket=self.storage.bucket, Key=KEY)["Body"].read()

    def is_clean(self) -> bool:
        """Neither an object nor an unfinished upload is in S3."""
        return not list(self.storage.keys("")) and not list(self.storage.uploads())


@pytest.fixture(scope="session")
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def engine(
    server: MisbehavingServer, moto_server: str, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", PART)
    policy = SourcePolicy(
        max_bytes=1024 * MIB, idle_seconds=5.0, allow=frozenset({f"127.0.0.1:{server.port}"})
    )
    source = Source(policy)
    with s3_proxy(moto_server) as proxy:
        configure(
            AWS_S3_BUCKET_NAME=f"engine-{next(_numbers)}",
            AWS_ENDPOINT_URL_S3=proxy.url,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
        )
        vault = storage.connected()
        vault._s3.create_bucket(Bucket=vault.bucket)
        proxy.calls.clear()
        yield Engine(source, vault, proxy)
    source.close()
