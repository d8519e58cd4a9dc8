"""Where a transfer is measured: a source, an S3, and what lies between them and the clients."""

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.json_process import START_SECONDS, JsonProcess, json_process
from benchmarks.process_usage import RunFailed
from tests.support.embedded_s3 import EmbeddedS3, running_s3

# A certificate for loopback that is its own authority, for measuring TLS.


def write(file: Path, address: str) -> None:
    """Certificate and key for ``address``, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "VideoVault benchmark")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)


LOOPBACK = "127.0.0.1"
BUCKET = "bench"
KEYS = ("benchmark", "benchmark-secret")
SAID_SECONDS = 3.0
INHERITED = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH"}


@dataclass(frozen=True)
class TestbedConfig:
    """How a stage is built. ``throttle`` is what one connection of the source gives, in bytes per second."""

    embedded: bool = False
    throttle: int = 0
    round_trip_ms: int = 0
    tls: bool = False


@dataclass
class Testbed:
    """``env`` is what every client gets, ``inside`` the words before its command that lead to its network."""

    folder: Path
    source: str
    endpoint: str
    bucket: str
    keys: tuple[str, str]
    authority: Path | None
    inside: Sequence[str]
    embedded: EmbeddedS3 | None = None
    sink: JsonProcess | None = None
    _stored: dict[str, int] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the user's own AWS, rclone and VideoVault settings."""
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

    def take_out(self, key: str) -> int | None:
        """The size of the object, which is removed so that the next one finds the same room; None without one."""
        if self.embedded:
            return _taken_out(self.embedded, key)
        path = f"/{self.bucket}/{key}"
        while path not in self._stored and (said := self._heard()):
            self._stored[said["stored"]] = said["size"]
        return self._stored.pop(path, None)

    def _heard(self) -> dict[str, Any] | None:
        try:
            return self.sink.hear(SAID_SECONDS) if self.sink else None
        except RunFailed:
            return None


def _taken_out(server: EmbeddedS3, key: str) -> int | None:
    file = server.folder / key
    size = file.stat().st_size if file.exists() else None
    server.client().delete_object(**server.at(key))
    return size


@contextmanager
def running_testbed(setting: TestbedConfig, folder: Path) -> Iterator[Testbed]:
    """Everything started and, at the end of the block, stopped again."""
    with ExitStack() as stack:
        near, far, address = _network(setting, folder, stack)
        authority = folder / "authority.pem" if setting.tls else None
        if authority:
            write(authority, address)
        server = ["--host", address, "--certificate", str(authority or "")]
        throttle = ["--bytes-per-second", str(setting.throttle)]
        source = stack.enter_context(
            json_process("benchmarks.servers.source", *server, *throttle, folder=folder, inside=far)
        )
        url = source.hear(START_SECONDS)["url"]
        if setting.embedded:
            s3 = stack.enter_context(running_s3(folder / "embedded"))
            keys = (s3.access_key, s3.secret_key)
            yield Testbed(folder, url, s3.endpoint, s3.bucket, keys, authority, near, embedded=s3)
            return
        sink = stack.enter_context(
            json_process("benchmarks.servers.sink", *server, folder=folder, inside=far)
        )
        endpoint = sink.hear(START_SECONDS)["url"]
        yield Testbed(folder, url, endpoint, BUCKET, KEYS, authority, near, sink=sink)


def _network(
    setting: TestbedConfig, folder: Path, stack: ExitStack
) -> tuple[Sequence[str], Sequence[str], str]:
    """The words that lead into the clients' and the servers' network, and the servers' address there."""
    if not setting.round_trip_ms:
        return (), (), LOOPBACK
    delay = ["--round-trip-ms", str(setting.round_trip_ms)]
    line = stack.enter_context(json_process("benchmarks.servers.delay_line", *delay, folder=folder))
    made: Mapping[str, str] = line.hear(START_SECONDS)
    near, far = (("nsenter", f"--net={made[end]}") for end in ("near", "far"))
    return near, far, made["far_address"]
