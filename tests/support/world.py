"""The services around an installation, all on loopback: a generator, a source of videos, and an S3 behind a proxy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from botocore.config import Config
from mypy_boto3_s3 import S3Client

from tests.support.generator import Generator, running_generator
from tests.support.misbehaving_server import MisbehavingServer
from tests.support.s3_proxy import S3Proxy, s3_proxy

KEYS = ("test", "test")


@dataclass(frozen=True)
class World:
    """``film`` is what the generator renders; ``s3`` bypasses the proxy that the installation uses."""

    generator: Generator
    source: MisbehavingServer
    proxy: S3Proxy
    s3: S3Client
    bucket: str
    film: bytes

    @property
    def settings(self) -> dict[str, str]:
        """The environment of an installation that uses these services."""
        return {
            "AWS_S3_BUCKET_NAME": self.bucket,
            "AWS_ENDPOINT_URL_S3": self.proxy.url,
            "AWS_ACCESS_KEY_ID": KEYS[0],
            "AWS_SECRET_ACCESS_KEY": KEYS[1],
            "AWS_EC2_METADATA_DISABLED": "true",
            "SCRIPT_WEBHOOK_URL": f"{self.generator.url}/script",
            "VIDEO_WEBHOOK_URL": f"{self.generator.url}/video",
            "SOURCE_ALLOW_HOSTS": f"{self.generator.url.removeprefix('http://')},127.0.0.1:{self.source.port}",
            "RATE_LIMITS": "off",
        }

    def objects(self, folder: str = "") -> dict[str, int]:
        """Keys and sizes in bytes."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
        return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}

    def uploads(self, folder: str = "") -> list[str]:
        """The keys of unfinished uploads."""
        pages = self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=folder)
        return [each["Key"] for page in pages for each in page.get("Uploads", [])]

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()


@contextmanager
def outside_world(mp4: bytes, s3_endpoint: str, bucket: str) -> Iterator[World]:
    """Run the services in the block, except the S3 at ``s3_endpoint``, in which the bucket is created."""
    s3 = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
        config=Config(s3={"addressing_style": "path"}),
    )
    s3.create_bucket(Bucket=bucket)
    try:
        with (
            running_generator(mp4) as generator,
            MisbehavingServer() as source,
            s3_proxy(s3_endpoint) as proxy,
        ):
            yield World(generator, source, proxy, s3, bucket, mp4)
    finally:
        s3.close()
