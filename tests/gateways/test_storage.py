"""What S3 is told of new objects, and what it is asked."""

import pytest

from tests.fixtures.installation import Configure
from tests.fixtures.s3_proxy import s3_proxy
from videovault.config import settings
from videovault.errors import ConfigurationError, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage, UploadLost

MIB = 1024**2
DESCRIBED = Description("video/mp4", 'attachment; filename="a.mp4"', {"videovault-tag": "mine"})


def test_an_object_is_described_as_told(moto_s3: Storage) -> None:
    moto_s3.put("one.mp4", b"moving", DESCRIBED, 0xF2F6CC48)
    head = moto_s3._s3.head_object(Bucket=moto_s3.bucket, Key="one.mp4")
    assert (head["ContentType"], head["ContentDisposition"]) == (
        DESCRIBED.content_type,
        DESCRIBED.disposition,
    )
    assert head["Metadata"] == {"videovault-tag": "mine"}


def test_encryption_and_storage_class_are_asked_for_on_every_way_in(
    moto_s3: Storage, moto_server: str, configure: Configure
) -> None:
    del moto_s3
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    with s3_proxy(moto_server) as proxy:
        chosen = {"S3_SSE": "aws:kms", "S3_SSE_KMS_KEY_ID": key, "S3_STORAGE_CLASS": "STANDARD_IA"}
        configure(AWS_ENDPOINT_URL_S3=proxy.url, **chosen)
        storage.connected().put("one.mp4", b"moving", DESCRIBED)
        storage.connected().start_upload("two.mp4", DESCRIBED)
        for operation in ("PutObject", "CreateMultipartUpload"):
            sent = proxy.headers[operation]
            assert sent["x-amz-server-side-encryption"] == "aws:kms"
            assert sent["x-amz-server-side-encryption-aws-kms-key-id"] == key
            assert sent["x-amz-storage-class"] == "STANDARD_IA"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"S3_SSE": "rot13"}, "S3_SSE"), ({"S3_SSE_KMS_KEY_ID": "key"}, "S3_SSE_KMS_KEY_ID")],
)
def test_wrong_encryption_settings_are_refused_by_name(
    configure: Configure, wrong: dict[str, str], named: str
) -> None:
    configure(**wrong)
    with pytest.raises(ConfigurationError, match=named):
        settings()


@pytest.mark.parametrize(
    ("style", "address"),
    [("path", "https://s3.example.org/videos/"), ("virtual", "https://videos.s3.example")],
)
def test_the_bucket_is_named_as_chosen(configure: Configure, style: str, address: str) -> None:
    configure(
        AWS_S3_BUCKET_NAME="videos",
        AWS_ENDPOINT_URL_S3="https://s3.example.org",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        S3_ADDRESSING_STYLE=style,
    )
    assert storage.connected().presign("one.mp4", seconds=60).startswith(address)


def test_parts_and_uploads_are_listed_until_they_are_aborted(moto_s3: Storage) -> None:
    upload_id = moto_s3.start_upload("three.mp4", DESCRIBED)
    part = moto_s3.upload_part("three.mp4", upload_id, 1, bytearray(5 * MIB), 0)
    assert moto_s3.parts("three.mp4", upload_id) == [part]
    assert [(each.key, each.upload_id) for each in moto_s3.uploads("three")] == [("three.mp4", upload_id)]
    moto_s3.abort_upload("three.mp4", upload_id)
    moto_s3.abort_upload("three.mp4", upload_id)
    assert not list(moto_s3.uploads())
    with pytest.raises(UploadLost):
        moto_s3.parts("three.mp4", upload_id)


def test_the_embedded_s3_tells_the_crc32_of_what_lies_on_its_disk(own_embedded_s3: Storage) -> None:
    own_embedded_s3.put("sums/one.mp4", b"123456789", Description("video/mp4"))
    found = own_embedded_s3.info("sums/one.mp4")
    assert found
    assert found.crc32 == 0xCBF43926  # the check value of CRC-32


def test_a_refusal_is_told_in_words(moto_s3: Storage) -> None:
    nowhere = Storage(moto_s3._s3, lambda: moto_s3._s3, "no-such-bucket-here")
    with pytest.raises(StorageError, match="bucket does not exist"):
        nowhere.put("one.mp4", b"moving", DESCRIBED)
