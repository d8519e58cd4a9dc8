"""Stores with differing behaviour: storing, playing, deleting, and what the System page reports.

docs/stores.md shows the table: ``--write-stores`` writes it, otherwise it is compared.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.services.conftest import Queued, Row
from tests.support.documents import ROOT, in_document, table
from tests.support.installation import Configure
from tests.support.misbehaving_server import ServerBehaviour, payload
from tests.support.s3_proxy import Behaviour, S3Proxy
from tests.support.stores import (
    WRITE,
    AddsMetadata,
    ChecksumsBreakComplete,
    ChecksumsBreakParts,
    ChecksumsBreakSignatures,
    CopiesNothing,
    Denies,
    ForgetsMetadata,
    ImplementsNoChecksums,
    IsAway,
    KnowsNoChecksums,
    LiesIn,
    LocksObjects,
    OpaqueETags,
    RefusesLinks,
    RefusesOnce,
    ShowsLate,
)
from tests.support.videos import never
from videovault.gateways import s3_calls, storage
from videovault.gateways.storage import Storage
from videovault.gateways.store_capabilities import S3Call
from videovault.models import Status
from videovault.services.admin import checks, health
from videovault.services.core.access import Caller
from videovault.services.transfer import pipeline
from videovault.services.transfer.engine.types import PART_BYTES
from videovault.services.videos import deletion, gallery

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("unprobed")]

STORES, NAME = ROOT / "docs" / "stores.md", "what was seen"
HEAD = ("The store", "Stored", "Played by a link", "Deleted", "What System says")
TWO_PARTS, SMALL = PART_BYTES + 4321, 64 * 1024
USUAL = (
    "A small object was stored, read, linked, sent in parts and deleted.",
    "Checksums: CRC-32 with every call.",
    "Metadata: kept.",
    "Copying: a stored video can be tagged again.",
    "Unfinished uploads: listed.",
    "Versions: the bucket keeps none.",
)
KMS = (
    "User: arn:aws:iam::123456789012:user/videos is not authorized to perform: kms:GenerateDataKey on resource: "
    "arn:aws:kms:us-east-1:123456789012:key/1"
)


@dataclass(frozen=True)
class Case:
    """``expect`` are beginnings of the row's cells; ``settings`` are those of the installation."""

    name: str
    behaviour: Callable[[], Behaviour]
    expect: tuple[str, str, str, str]
    size: int = SMALL
    versioned: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    ready: bool = True


YES = ("yes, by CRC-32", "yes", "yes", "ok")
MD5 = ("yes, by MD5", "yes", "yes", "ok")
CASES = [
    Case("AWS S3", Behaviour, YES, TWO_PARTS),
    Case(
        "in eu-central-1, named so",
        lambda: LiesIn("eu-central-1"),
        YES,
        settings={"AWS_REGION": "eu-central-1"},
    ),
    Case(
        "in eu-central-1, with another AWS_REGION",
        lambda: LiesIn("eu-central-1"),
        (
            "no: The bucket is in the region eu-central-1",
            "-",
            "-",
            "broken: The bucket is in the region eu-central-1",
        ),
        ready=False,
    ),
    Case("400 for any checksum", KnowsNoChecksums, MD5, TWO_PARTS),
    Case("501 for any checksum", ImplementsNoChecksums, MD5, TWO_PARTS),
    Case("InvalidPart where Complete lists checksums", ChecksumsBreakComplete, YES, TWO_PARTS),
    Case("InvalidPart where parts carried checksums", ChecksumsBreakParts, MD5, TWO_PARTS),
    Case("SignatureDoesNotMatch for a part with a checksum", ChecksumsBreakSignatures, MD5, TWO_PARTS),
    Case("refuses a checksum of UploadPart once", lambda: RefusesOnce("UploadPart"), YES, TWO_PARTS),
    Case(
        "refuses a checksum of CreateMultipartUpload once",
        lambda: RefusesOnce("CreateMultipartUpload"),
        YES,
        TWO_PARTS,
    ),
    Case("Object Lock: a proof with every PUT", LocksObjects, YES, TWO_PARTS),
    Case(
        "Object Lock, knowing Content-MD5 only", lambda: LocksObjects(takes_checksums=False), MD5, TWO_PARTS
    ),
    Case("400 for any checksum, ETags that are no MD5", OpaqueETags, ("yes, read back", *MD5[1:])),
    Case("HEAD answers 404 for a while after a write", lambda: ShowsLate(2), YES, TWO_PARTS),
    Case(
        "HEAD and GET answer 404 for a while after a write",
        lambda: ShowsLate(1, also_get=True),
        YES,
        TWO_PARTS,
    ),
    Case("adds metadata of its own", AddsMetadata, YES),
    Case("keeps no metadata", ForgetsMetadata, YES),
    Case("copies nothing", CopiesNothing, YES),
    Case(
        "lists no unfinished uploads",
        lambda: Denies(("ListMultipartUploads",), "No", 501, "NotImplemented"),
        YES,
        TWO_PARTS,
    ),
    Case("away when a transfer begins", lambda: IsAway(3), YES, TWO_PARTS),
    Case(
        "KMS denied",
        lambda: Denies(("PutObject", "CreateMultipartUpload"), KMS),
        ("no: S3 may not use the encryption key", "-", "-", "broken: S3 may not use the encryption key"),
    ),
    Case(
        "refuses links",
        RefusesLinks,
        ("yes, by CRC-32", "no: HTTP 403", "yes", "broken: S3 denied access"),
        ready=False,
    ),
    Case("keeps versions", Behaviour, YES, versioned=True),
    Case(
        "keeps versions, without the permission to list them",
        lambda: Denies(("ListObjectVersions",), "no s3:ListBucketVersions"),
        ("yes, by CRC-32", "yes", "hidden: Earlier versions", "warning"),
        versioned=True,
    ),
    Case(
        "keeps versions, without the permission to delete them",
        lambda: Denies(("DeleteVersion",), "no s3:DeleteObjectVersion"),
        ("yes, by CRC-32", "yes", "hidden: 2 earlier versions", "warning"),
        versioned=True,
    ),
    Case(
        "keeps versions for a time (Object Lock)",
        lambda: Denies(("DeleteVersion",), "Access Denied because object protected by object lock."),
        ("yes, by CRC-32", "yes", "hidden: 2 earlier versions", "warning"),
        versioned=True,
    ),
]


@pytest.fixture(scope="module")
def seen() -> dict[str, tuple[str, ...]]:
    """The rows of the document, by name."""
    return {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_store(
    case: Case,
    anna: Caller,
    queued: Queued,
    row: Row,
    proxy: S3Proxy,
    moto_s3: Storage,
    configure: Configure,
    seen: dict[str, tuple[str, ...]],
) -> None:
    if case.versioned:
        enabled: Any = {"Status": "Enabled"}
        moto_s3._s3.put_bucket_versioning(Bucket=moto_s3.bucket, VersioningConfiguration=enabled)
    if case.settings:
        configure(**case.settings)
    video_id = queued(ServerBehaviour(size=case.size))
    proxy.behaviour = case.behaviour()
    cells = [_stored(case, proxy.behaviour, video_id, row, moto_s3), "-", "-", ""]
    if row(video_id).status == Status.READY:
        cells[1] = _played(case, anna, video_id)
        cells[2] = _deleted(anna, video_id, moto_s3)
    cells[3] = _shown_on_system_page(case, anna)
    for cell, expected in zip(cells, case.expect, strict=True):
        assert cell.startswith(expected)
    if "warning" not in cells[3]:
        assert not _all_versions(moto_s3)
    seen[case.name] = (case.name, *cells)


def _stored(case: Case, behaviour: Behaviour, video_id: str, row: Row, past_the_proxy: Storage) -> str:
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    if found.status != Status.READY:
        assert not list(past_the_proxy.uploads())
        return f"no: {found.error_message}"
    key = str(found.s3_key)
    assert past_the_proxy.read(key, TWO_PARTS + 1) == payload(case.size)
    assert past_the_proxy.read(f"{key.rpartition('/')[0]}/video.json", SMALL)
    if isinstance(behaviour, OpaqueETags) and behaviour.read_back:
        return "yes, read back"
    return f"yes, by {storage.connected().capabilities.checksum_for(S3Call.PART)}"


def _played(case: Case, caller: Caller, video_id: str) -> str:
    for _ in range(3):  # the player retries after a 404
        link = gallery.download_url(caller, video_id, inline=True)
        answer = httpx.get(link, headers={"Range": "bytes=100-199"})
        if answer.status_code != 404:
            break
    if answer.status_code != 206:
        return f"no: HTTP {answer.status_code}"
    assert answer.content == payload(case.size)[100:200]
    return "yes"


def _deleted(caller: Caller, video_id: str, past_the_proxy: Storage) -> str:
    kept = deletion.delete(caller, video_id)
    assert not list(past_the_proxy.keys("videos/"))
    if kept is None:
        assert not [each for each in _all_versions(past_the_proxy) if each.startswith("videos/")]
        return "yes"
    return f"hidden: {kept}"


def _shown_on_system_page(case: Case, admin: Caller) -> str:
    found = checks.start(admin, "storage", jobs_waiting=lambda: 0).result()
    is_ready = health.start({})["s3"].result(30) == health.OK
    assert is_ready == case.ready
    unusual = [line for line in (found.found, *found.details) if line not in USUAL]
    return " ".join([f"{found.state}:", *unusual]) if unusual else found.state


def _all_versions(vault: Storage) -> list[str]:
    return [each.key for each in s3_calls.list_versions(vault._calls, vault._call, "")]


def test_the_document_shows_what_was_seen(
    request: pytest.FixtureRequest, seen: dict[str, tuple[str, ...]]
) -> None:
    if len(seen) < len(CASES):
        pytest.skip("not every store was seen in this run")
    found = table(HEAD, [seen[case.name] for case in CASES])
    is_written = bool(request.config.getoption(WRITE))
    assert in_document(STORES, NAME, found, is_written=is_written) == found
