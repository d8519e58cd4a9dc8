"""The environment of a measured transfer: a source, an S3, and the network to the clients."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.json_process import START_SECONDS, JsonProcess, json_process
from benchmarks.process_usage import RunFailed
from tests.support.certificates import CERTIFICATE, certificates
from tests.support.embedded_s3 import EmbeddedS3, running_s3

LOOPBACK = "127.0.0.1"
BUCKET = "bench"
KEYS = ("benchmark", "benchmark-secret")
REPORT_SECONDS = 3.0
INHERITED = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH"}


@dataclass(frozen=True)
class TransferTestbedConfig:
    """``throttle`` limits each connection of the source, in bytes per second; 0: no limit. ``film`` is what videos begin with."""

    embedded: bool = False
    film: Path | None = None
    throttle: int = 0
    round_trip_ms: int = 0
    tls: bool = False


@dataclass
class TransferTestbed:
    """``env`` is the environment of every client, ``prefix`` runs its command in the clients' network."""

    folder: Path
    source: str
    endpoint: str
    bucket: str
    keys: tuple[str, str]
    authority: Path | None
    prefix: Sequence[str]
    embedded: EmbeddedS3 | None = None
    sink: JsonProcess | None = None
    _stored: dict[str, int] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Without the user's AWS, rclone and VideoVault settings."""
        ours = {name: value for name, value in os.environ.items() if name in INHERITED}
        access_key, secret_key = self.keys
        authority = str(self.authority or "")
        return (
            ours
            | {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
            | {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
            | {"AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}
            | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
            | ({"AWS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority} if authority else {})
        )

    @property
    def source_host(self) -> str:
        return urlsplit(self.source).netloc

    def url(self, name: str, size: int) -> str:
        """The address of a video of ``size`` bytes."""
        return f"{self.source}/{name}-{size}.mp4"

    def pop_size(self, key: str) -> int | None:
        """Remove the object and return its size; None without one."""
        if self.embedded:
            return _pop_size(self.embedded, key)
        path = f"/{self.bucket}/{key}"
        while path not in self._stored and (report := self._next_report()):
            self._stored[report["stored"]] = report["size"]
        return self._stored.pop(path, None)

    def _next_report(self) -> dict[str, Any] | None:
        try:
            return self.sink.receive(REPORT_SECONDS) if self.sink else None
        except RunFailed:
            return None


def _pop_size(server: EmbeddedS3, key: str) -> int | None:
    file = server.folder / key
    size = file.stat().st_size if file.exists() else None
    server.client().delete_object(**server.at(key))
    return size


@contextmanager
def running_testbed(setting: TransferTestbedConfig, folder: Path) -> Iterator[TransferTestbed]:
    """Start everything; stop it at the end of the block."""
    with ExitStack() as stack:
        near, far, address = _network(setting, folder, stack)
        authority = folder / CERTIFICATE if setting.tls else None
        if authority:
            certificates(folder, address)
        server = ["--host", address, "--certificate", str(authority or "")]
        options = ["--bytes-per-second", str(setting.throttle)]
        options += ["--film", str(setting.film)] if setting.film else []
        source = stack.enter_context(
            json_process("benchmarks.servers.source", *server, *options, folder=folder, prefix=far)
        )
        url = source.receive(START_SECONDS)["url"]
        if setting.embedded:
            s3 = stack.enter_context(running_s3(folder / "embedded"))
            keys = (s3.access_key, s3.secret_key)
            yield TransferTestbed(folder, url, s3.endpoint, s3.bucket, keys, authority, near, embedded=s3)
            return
        sink = stack.enter_context(
            json_process("benchmarks.servers.sink", *server, folder=folder, prefix=far)
        )
        endpoint = sink.receive(START_SECONDS)["url"]
        yield TransferTestbed(folder, url, endpoint, BUCKET, KEYS, authority, near, sink=sink)


def _network(
    setting: TransferTestbedConfig, folder: Path, stack: ExitStack
) -> tuple[Sequence[str], Sequence[str], str]:
    """Command prefixes for the clients' and the servers' network, and the servers' address."""
    if not setting.round_trip_ms:
        return (), (), LOOPBACK
    delay = ["--round-trip-ms", str(setting.round_trip_ms)]
    line = stack.enter_context(json_process("benchmarks.servers.delay_line", *delay, folder=folder))
    network: Mapping[str, str] = line.receive(START_SECONDS)
    near, far = (("nsenter", f"--net={network[end]}") for end in ("near", "far"))
    return near, far, network["far_address"]
