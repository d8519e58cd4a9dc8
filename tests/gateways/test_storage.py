"""Requests to S3, and the handling of its responses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

import videovault.services  # noqa: F401 - sets where capabilities are stored
from tests.support.installation import Configure
from tests.support.s3_proxy import HANG_UP, Behaviour, s3_proxy
from tests.support.stores import Denies, KnowsNoChecksums, LiesIn
from videovault.config import settings
from videovault.errors import ConfigurationError, StorageError
from videovault.gateways import http_check, storage
from videovault.gateways.storage import Description, Storage, UploadLost
from videovault.gateways.store_capabilities import (
    RECHECK_AFTER,
    Capabilities,
    Checksum,
    Fact,
    Feature,
    S3Call,
    from_json,
)

MIB = 1024**2
DESCRIBED = Description("video/mp4", 'attachment; filename="a.mp4"', {"videovault-tag": "mine"})


def test_object_has_its_headers_and_metadata(moto_s3: Storage) -> None:
    moto_s3.put("one.mp4", b"moving", DESCRIBED, 0xF2F6CC48)
    head = moto_s3._s3.head_object(Bucket=moto_s3.bucket, Key="one.mp4")
    assert (head["ContentType"], head["ContentDisposition"]) == (
        DESCRIBED.content_type,
        DESCRIBED.disposition,
    )
    assert head["Metadata"] == {"videovault-tag": "mine"}


def test_encryption_and_storage_class_are_requested_for_every_upload(
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
def test_wrong_encryption_settings_are_named(configure: Configure, wrong: dict[str, str], named: str) -> None:
    configure(**wrong)
    with pytest.raises(ConfigurationError, match=named):
        settings()


@pytest.mark.parametrize(
    ("style", "address"),
    [("path", "https://s3.example.org/videos/"), ("virtual", "https://videos.s3.example")],
)
def test_addressing_style(configure: Configure, style: str, address: str) -> None:
    configure(
        AWS_S3_BUCKET_NAME="videos",
        AWS_ENDPOINT_URL_S3="https://s3.example.org",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        S3_ADDRESSING_STYLE=style,
    )
    assert storage.connected().presign("one.mp4", seconds=60).startswith(address)


def test_parts_and_uploads_are_listed_until_aborted(moto_s3: Storage) -> None:
    upload_id = moto_s3.start_upload("three.mp4", DESCRIBED)
    part = moto_s3.upload_part("three.mp4", upload_id, 1, bytearray(5 * MIB), 0)
    assert moto_s3.parts("three.mp4", upload_id) == [part]
    assert [(each.key, each.upload_id) for each in moto_s3.uploads("three")] == [("three.mp4", upload_id)]
    moto_s3.abort_upload("three.mp4", upload_id)
    moto_s3.abort_upload("three.mp4", upload_id)
    assert not list(moto_s3.uploads())
    with pytest.raises(UploadLost):
        moto_s3.parts("three.mp4", upload_id)


def test_embedded_s3_reports_the_crc32(own_embedded_s3: Storage) -> None:
    own_embedded_s3.put("sums/one.mp4", b"123456789", Description("video/mp4"))
    found = own_embedded_s3.info("sums/one.mp4")
    assert found
    assert found.crc32 == 0xCBF43926  # the check value of CRC-32


def test_error_has_a_readable_message(moto_s3: Storage) -> None:
    nowhere = Storage(moto_s3._s3, lambda: moto_s3._s3, "no-such-bucket-here")
    with pytest.raises(StorageError, match="bucket does not exist"):
        nowhere.put("one.mp4", b"moving", DESCRIBED)


CALLS: dict[str, tuple[str, Callable[[Storage], object]]] = {
    "put": ("PutObject", lambda vault: vault.put("two.mp4", b"moving", DESCRIBED)),
    "info": ("HeadObject", lambda vault: vault.info("one.mp4")),
    "read": ("GET", lambda vault: vault.read("one.mp4", 10)),
    "list": ("GET", lambda vault: list(vault.keys())),
    "describe": ("PutObject", lambda vault: vault.describe("one.mp4", DESCRIBED)),
    "delete": ("DeleteObject", lambda vault: vault.delete(["one.mp4"])),
    "begin": ("CreateMultipartUpload", lambda vault: vault.start_upload("two.mp4", DESCRIBED)),
    "list uploads": ("ListMultipartUploads", lambda vault: list(vault.uploads())),
    "fetch a link": ("GET", lambda vault: http_check.fetch_by_link(vault, "one.mp4")),
}
UNAVAILABLE = [(503, "SlowDown"), HANG_UP, (500, "InternalError")]


@pytest.mark.thorough
@pytest.mark.parametrize("call", CALLS)
def test_every_call_retries_an_unavailable_store(
    moto_s3: Storage, moto_server: str, configure: Configure, call: str
) -> None:
    moto_s3.put("one.mp4", b"moving", DESCRIBED)
    operation, ask = CALLS[call]
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url, S3_RETRY_SECONDS=60)
        proxy.refuse[operation] = [*UNAVAILABLE]
        ask(storage.connected())
        assert proxy.refuse[operation] == []


def test_retries_end(moto_s3: Storage, moto_server: str, configure: Configure) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url, S3_RETRY_SECONDS=0)
        proxy.refuse["HeadObject"] = [*UNAVAILABLE]
        with pytest.raises(StorageError, match=r"S3 failed \(503\)"):
            storage.connected().info("one.mp4")
        assert len(proxy.refuse["HeadObject"]) == 2


def test_log_has_the_message_of_the_store(moto_s3: Storage, moto_server: str, configure: Configure) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy, capture_logs() as lines:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = Denies(
            ("PutObject",), "not\nauthorized to perform: kms:GenerateDataKey" + "!" * 900
        )
        with pytest.raises(StorageError, match="encryption key") as failure:
            storage.connected().put("one.mp4", b"moving", DESCRIBED)
    [line] = [line for line in lines if line["event"] == "S3 refused"]
    message = line["store_message"]
    assert message.startswith("not authorized to perform: kms:GenerateDataKey")
    assert len(message) == 500
    assert (line["operation"], line["store_code"], line["store_request_id"]) == (
        "PutObject",
        "AccessDenied",
        "SHIM0000000001",
    )
    assert str(failure.value.answer).startswith("PutObject: AccessDenied: not authorized")


def test_bucket_in_another_region_is_not_followed(
    moto_s3: Storage, moto_server: str, configure: Configure
) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = LiesIn("eu-central-1")
        for _, ask in CALLS.values():
            with pytest.raises(StorageError, match="set AWS_REGION=eu-central-1"):
                ask(storage.connected())


def test_versions_are_deleted_with_their_object_before_their_marker(
    moto_s3: Storage, moto_server: str, configure: Configure
) -> None:
    moto_s3._s3.put_bucket_versioning(Bucket=moto_s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("one/a.mp4", "one/a.mp4", "one/b.mp4", "one/a.mp4.jpg", "two/a.mp4"):
        moto_s3.put(key, b"moving", DESCRIBED)
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = Denies(("DeleteVersion",), "Access Denied because object protected by object lock.")
        kept = storage.connected().delete(["one/a.mp4"])
        assert kept
        assert (kept.count, "locks them for a time" in str(kept)) == (2, True)
        assert storage.connected().info("one/a.mp4") is None
        proxy.behaviour = Behaviour()
        assert storage.connected().delete_folder("one/") is None
    assert [each.key for each in storage.connected().versions("")] == ["two/a.mp4"]


def test_capabilities_are_shared_with_other_processes_and_probed_again(
    moto_s3: Storage, moto_server: str, configure: Configure
) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = KnowsNoChecksums()
        storage.connected().put("one.mp4", b"moving", DESCRIBED)
        configure()  # as another process, or the next start
        before = proxy.calls.total()
        storage.connected().put("two.mp4", b"moving", DESCRIBED)
        assert proxy.calls.total() == before + 1
        assert "content-md5" in proxy.headers["PutObject"]
        proxy.behaviour = Behaviour()
        storage.connected().probe()
        configure()
        storage.connected().put("three.mp4", b"moving", DESCRIBED)
        assert "x-amz-checksum-crc32" in proxy.headers["PutObject"]


def test_rejected_features_are_tried_again_after_a_month() -> None:
    """Except metadata: objects without it would look swapped."""
    known, at = Capabilities("a store"), datetime.now(UTC) - RECHECK_AFTER
    known.learn({S3Call.PUT: Fact("MD5", at + timedelta(minutes=1)), Feature.METADATA: Fact("no", at)})
    assert known.checksum_for(S3Call.PUT) is Checksum.MD5
    known.learn({S3Call.PUT: Fact("MD5", at - timedelta(minutes=1))})
    assert known.checksum_for(S3Call.PUT) is Checksum.CRC32
    assert not known.can(Feature.METADATA)


def test_facts_of_another_version_are_ignored() -> None:
    fact = {"value": "MD5", "at": "2026-01-01T00:00:00", "why": "no"}
    kept = {"PutObject": fact, "HeadObject": fact | {"value": "SHA-1"}, "GetObject": "none", "x": {"at": 1}}
    assert list(from_json(kept)) == ["PutObject"]
