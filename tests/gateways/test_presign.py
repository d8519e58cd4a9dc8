"""Fast presigned links equal those of botocore, for any key and every kind of store."""

from typing import Any

import pytest

from tests.support.installation import Configure
from videovault.config import settings
from videovault.gateways import presign as gateways_presign
from videovault.gateways import storage

KEYS = ["videos/u/v/1_bread.mp4", "a b/ü+&=?#%/~'()*!.mp4", "日本/\N{BREAD}.mp4", "-._~"]
DISPOSITIONS = [
    "",
    "attachment; filename=\"a b.mp4\"; filename*=UTF-8''%C3%BC.mp4",
    'inline; filename="~+&=\'()*!"',
]
STORES: dict[str, dict[str, str]] = {
    "embedded": {},
    "embedded behind HTTPS": {"PUBLIC_URL": "https://videos.example.com"},
    "on the port that belongs to the scheme": {"PUBLIC_URL": "http://videos.example.com:80"},
    "AWS": {"AWS_S3_BUCKET_NAME": "videos", "AWS_REGION": "eu-central-1"},
    "AWS, a name with dots": {"AWS_S3_BUCKET_NAME": "videos.example.com"},
    "AWS with a session": {"AWS_S3_BUCKET_NAME": "videos", "AWS_SESSION_TOKEN": "abc/def+ghi=="},
    "another store": {
        "AWS_S3_BUCKET_NAME": "videos",
        "AWS_ENDPOINT_URL_S3": "https://s3.example.com:9000/base",
    },
    "virtual hosts": {
        "AWS_S3_BUCKET_NAME": "videos",
        "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
        "S3_ADDRESSING_STYLE": "virtual",
    },
}
AWS_KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/+="}


@pytest.mark.parametrize("style", ["", "auto", "virtual"])
@pytest.mark.parametrize(
    ("region", "bucket", "origin"),
    [
        ("us-east-1", "videos", "https://videos.s3.amazonaws.com/"),
        ("eu-central-1", "videos", "https://videos.s3.eu-central-1.amazonaws.com/"),
        ("ap-southeast-5", "videos", "https://videos.s3.ap-southeast-5.amazonaws.com/"),
        ("us-gov-west-1", "videos", "https://videos.s3.us-gov-west-1.amazonaws.com/"),
        ("cn-north-1", "videos", "https://videos.s3.cn-north-1.amazonaws.com.cn/"),
        ("eu-west-3", "videos.example.com", "https://s3.eu-west-3.amazonaws.com/videos.example.com/"),
    ],
)
def test_links_to_aws_use_the_region_and_match_the_csp_origins(
    configure: Configure, region: str, bucket: str, origin: str, style: str
) -> None:
    configure(AWS_S3_BUCKET_NAME=bucket, AWS_REGION=region, S3_ADDRESSING_STYLE=style, **AWS_KEYS)
    for link in (
        storage.connected().presign("film.mp4", seconds=60),
        storage.connected().signer(seconds=60)("film.mp4", ""),
    ):
        assert link.startswith(f"{origin}film.mp4?")
        assert f"%2F{region}%2Fs3%2Faws4_request" in link
    assert any(origin.startswith(f"{each}/") for each in settings().object_origins)


def without_time(link: str) -> str:
    """Without the fields that differ if signed in another second."""
    return "&".join(
        part for part in link.split("&") if not part.startswith(("X-Amz-Date", "X-Amz-Signature"))
    )


@pytest.mark.parametrize("store", STORES)
def test_links_equal_those_of_botocore(configure: Configure, store: str) -> None:
    configure(**(AWS_KEYS if "AWS_S3_BUCKET_NAME" in STORES[store] else {}), **STORES[store])
    vault = storage.connected()
    for key in KEYS:
        for disposition in DISPOSITIONS:
            compare_in_one_second(vault, key, disposition)


def compare_in_one_second(vault: storage.Storage, key: str, disposition: str) -> None:
    for _ in range(20):
        first = vault.presign(key, seconds=60, disposition=disposition)
        ours = vault.signer(seconds=60)(key, disposition)
        last = vault.presign(key, seconds=60, disposition=disposition)
        assert without_time(ours) == without_time(first)
        if first == last:
            assert ours == first
            return
    raise AssertionError("no two links were signed in the same second")


@pytest.mark.parametrize("store", STORES)
def test_botocore_signs_once_for_many(configure: Configure, store: str) -> None:
    configure(**(AWS_KEYS if "AWS_S3_BUCKET_NAME" in STORES[store] else {}), **STORES[store])
    vault, asked = storage.connected(), []

    def presign(key: str, disposition: str) -> str:
        asked.append(key)
        return vault.presign(key, seconds=60, disposition=disposition)

    sign = gateways_presign.signer(presign, vault._public._request_signer._credentials)  # type: ignore[attr-defined]
    for key in KEYS:
        sign(key, "")
    assert len(asked) == 1


class Others:
    secret_key = "of another account"


@pytest.mark.parametrize(
    ("sample", "credentials"),
    [
        (
            "https://s3.example.com/sample?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=a/b/c/d/e",
            Others(),
        ),
        ("https://s3.example.com/sample", Others()),
        (
            "https://s3.example.com/sample?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260101/r/s3/"
            "aws4_request&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
            Others(),
        ),
    ],
)
def test_what_is_signed_otherwise_is_left_to_botocore(sample: str, credentials: Any) -> None:
    def presign(_key: str, _disposition: str) -> str:
        return sample

    assert gateways_presign.signer(presign, credentials) is presign
