"""The embedded S3 with boto3: what the storage gateway may rely on, and what it may not."""

import base64
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3.type_defs import CompletedPartTypeDef

from tests.support.embedded_s3 import EmbeddedS3, running_s3
from tests.support.keys import ONE_KEY
from videovault import installation
from videovault.embedded import s3
from videovault.errors import ConfigurationError

MIB = 1 << 20


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[EmbeddedS3]:
    """A server that the test may stop."""
    with running_s3(tmp_path) as server:
        yield server


def _upload_in_parts(server: EmbeddedS3, key: str, parts: list[bytes]) -> None:
    client, where = server.client(), server.at(key)
    upload = client.create_multipart_upload(**where, ContentType="video/mp4")["UploadId"]
    done: list[CompletedPartTypeDef] = []
    for number, part in enumerate(parts, start=1):
        etag = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)["ETag"]
        done.append({"PartNumber": number, "ETag": etag})
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})


def test_the_bucket_exists_from_the_start(embedded_s3: EmbeddedS3) -> None:
    names = [bucket["Name"] for bucket in embedded_s3.client().list_buckets()["Buckets"]]
    assert names == [embedded_s3.bucket]


def test_an_object_is_a_plain_file_readable_by_its_user_only(embedded_s3: EmbeddedS3) -> None:
    client, where = embedded_s3.client(), embedded_s3.at("put/clip é.mp4")
    client.put_object(**where, Body=b"moving pictures", ContentType="video/mp4")
    assert client.get_object(**where)["Body"].read() == b"moving pictures"
    file = embedded_s3.folder / "put" / "clip é.mp4"
    assert file.read_bytes() == b"moving pictures"
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0
    assert embedded_s3.folder.stat().st_mode & 0o077 == 0


def test_the_etag_of_a_multipart_upload_is_the_crc32_of_the_object(embedded_s3: EmbeddedS3) -> None:
    parts = [b"a" * 6 * MIB, b"b" * 5 * MIB, b"end"]
    _upload_in_parts(embedded_s3, "parts/one.mp4", parts)
    found = embedded_s3.client().head_object(**embedded_s3.at("parts/one.mp4"))
    assert found["ContentLength"] == sum(map(len, parts))
    assert found["ETag"] == f'"{zlib.crc32(b"".join(parts)):08x}"'


def test_a_corrupted_upload_is_accepted_but_shows_in_the_etag(embedded_s3: EmbeddedS3) -> None:
    """The S3 does not check x-amz-checksum-crc32 itself, so the client has to compare the ETag."""
    client, where = embedded_s3.client(), embedded_s3.at("damaged.mp4")
    announced = base64.b64encode(zlib.crc32(b"what was meant").to_bytes(4, "big")).decode()
    client.put_object(**where, Body=b"what arrived!!", ChecksumCRC32=announced)
    assert client.head_object(**where)["ETag"] != f'"{zlib.crc32(b"what was meant"):08x}"'


def test_an_aborted_upload_leaves_nothing(embedded_s3: EmbeddedS3) -> None:
    client, where = embedded_s3.client(), embedded_s3.at("aborted/one.mp4")
    upload = client.create_multipart_upload(**where)["UploadId"]
    client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x" * 5 * MIB)
    client.abort_multipart_upload(**where, UploadId=upload)
    assert not list(embedded_s3.folder.glob("aborted/*"))


def test_a_link_signed_for_the_apps_address_verifies_with_its_host_only(embedded_s3: EmbeddedS3) -> None:
    where = embedded_s3.at("signed.mp4")
    embedded_s3.client().put_object(**where, Body=b"signed")
    public = "https://videos.example.org"
    link = embedded_s3.client(public).generate_presigned_url("get_object", Params=where)
    here = link.replace(public, embedded_s3.endpoint)
    assert httpx.get(here, headers={"Host": "videos.example.org"}).content == b"signed"
    assert httpx.get(here).status_code == 403


def test_without_the_right_key_access_is_refused(embedded_s3: EmbeddedS3) -> None:
    intruder = EmbeddedS3(
        embedded_s3.endpoint, embedded_s3.access_key, "guessed", embedded_s3.data_dir, embedded_s3.process
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        intruder.client().list_objects_v2(Bucket=intruder.bucket)
    assert httpx.get(f"{embedded_s3.endpoint}/{embedded_s3.bucket}?list-type=2").status_code >= 400


def test_the_keys_are_not_on_the_command_line(embedded_s3: EmbeddedS3) -> None:
    command = " ".join(map(str, s3.server_process(embedded_s3.data_dir, _installation(embedded_s3)).argv))
    assert embedded_s3.access_key not in command
    assert embedded_s3.secret_key not in command


@pytest.mark.process
def test_objects_keep_their_checksums_and_types_after_a_restart(tmp_path: Path) -> None:
    with running_s3(tmp_path) as server:
        where = server.at("kept/clip.mp4")
        server.client().put_object(**where, Body=b"kept", ContentType="video/mp4")
        before = server.client().head_object(**where)
    with running_s3(tmp_path) as server:
        after = server.client().head_object(**where)
    assert after["ETag"] == before["ETag"]
    assert after["ContentLength"] == before["ContentLength"]
    assert after["ContentType"] == before["ContentType"]
    assert after["LastModified"] == before["LastModified"]


@pytest.mark.process
def test_a_restart_during_an_upload_discards_it_and_its_files(own_s3: EmbeddedS3) -> None:
    client, where = own_s3.client(), own_s3.at("cut/one.mp4")
    upload = client.create_multipart_upload(**where)["UploadId"]
    client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x" * 5 * MIB)
    own_s3.process.kill()
    own_s3.process.wait()
    assert [*own_s3.folder.glob("cut/.*")]
    with running_s3(own_s3.data_dir) as again:
        assert not [*again.folder.glob("cut/.*")]
        with pytest.raises(ClientError, match="NoSuchUpload"):
            again.client().upload_part(**where, UploadId=upload, PartNumber=2, Body=b"x")


def test_a_missing_rclone_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    with pytest.raises(ConfigurationError, match="rclone, which is not installed"):
        s3.rclone_path()


def test_rclone_gets_neither_the_users_rclone_settings_nor_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RCLONE_READ_ONLY", "true")
    monkeypatch.setenv("SECRET_KEY", ONE_KEY)
    environment = s3.server_process(tmp_path, installation.load_or_create(tmp_path)).env or {}
    assert "RCLONE_READ_ONLY" not in environment
    assert "SECRET_KEY" not in environment


def _installation(server: EmbeddedS3) -> installation.Installation:
    return installation.load_or_create(server.data_dir)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/videovault"),
        ("GET", "/videovault/{key}"),
        ("HEAD", "/videovault/{key}"),
        ("GET", "/videovault/{key}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"),
        ("GET", "/videovault/../../installation.json"),
        ("PUT", "/videovault/{key}"),
        ("PUT", "/another-bucket"),
        ("POST", "/videovault/{key}?uploads"),
        ("POST", "/videovault?delete"),
        ("DELETE", "/videovault/{key}"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "attacker.example", "localhost"])
def test_another_process_of_this_machine_gets_nothing_from_its_port(
    embedded_s3: EmbeddedS3, method: str, path: str, host: str
) -> None:
    """With requests without a signature, with an invented one, and with a known access key."""
    key, port = "videos/raw/secret.mp4", int(embedded_s3.endpoint.rpartition(":")[2])
    embedded_s3.client().put_object(**embedded_s3.at(key), Body=b"of the owner only")
    before = sorted(embedded_s3.folder.parent.rglob("*"))
    signed = "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature={sum}"
    for shown in (
        "",
        "AWS a:b",
        signed.format(key=embedded_s3.access_key, sum="0" * 64),
        signed.format(key="x", sum=0),
    ):
        lines = [f"{method} {path.format(key=key)} HTTP/1.1", f"Host: {host.format(port=port)}"]
        lines += [f"Authorization: {shown}"] * bool(shown) + [
            "Content-Length: 1",
            "Connection: close",
            "",
            "x",
        ]
        with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
            wire.sendall("\r\n".join(lines).encode())
            answer = b"".join(iter(lambda: wire.recv(65536), b""))
        assert answer.split()[1] in (b"400", b"403")
        assert b"of the owner" not in answer
    assert (embedded_s3.folder / key).read_bytes() == b"of the owner only"
    assert sorted(embedded_s3.folder.parent.rglob("*")) == before
