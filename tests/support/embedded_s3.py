"""The real embedded S3 (rclone) for tests: one server for the session, or one that a test may stop."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import boto3
import pytest
from botocore.config import Config
from mypy_boto3_s3 import S3Client

from tests.support.waiting import HANG_SECONDS
from videovault import installation
from videovault.config import EMBEDDED_BUCKET
from videovault.embedded import launch, s3


class Where(TypedDict):
    """What names an object in boto3's calls."""

    Bucket: str
    Key: str


@dataclass(frozen=True)
class EmbeddedS3:
    """A running server; its objects are files in ``folder``, and ``process`` ends with the fixture."""

    endpoint: str
    access_key: str
    secret_key: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    bucket: str = EMBEDDED_BUCKET

    @property
    def folder(self) -> Path:
        return s3.bucket_folder(self.data_dir)

    def at(self, key: str) -> Where:
        return {"Bucket": self.bucket, "Key": key}

    def client(self, endpoint: str = "") -> S3Client:
        """A client of this server; with another ``endpoint`` it is good for presigning only."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                response_checksum_validation="when_required",
            ),
        )


@contextmanager
def running_s3(data_dir: Path) -> Iterator[EmbeddedS3]:
    """Run the embedded S3 of the installation in ``data_dir`` for the length of the block."""
    made = installation.load_or_create(data_dir)
    child = s3.server_process(data_dir, made)
    s3.prepare_bucket(data_dir)
    process = subprocess.Popen(launch.command(child.argv), env=child.env, umask=child.umask)
    try:
        _wait_for(made.s3_port, process)
        endpoint = f"http://127.0.0.1:{made.s3_port}"
        yield EmbeddedS3(endpoint, made.s3_access_key, made.s3_secret_key, data_dir, process)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def embedded_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedS3]:
    """One embedded S3 for the whole session: keep to keys of your own, and do not stop it."""
    with running_s3(tmp_path_factory.mktemp("embedded-s3")) as server:
        yield server


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the embedded S3 did not start")
