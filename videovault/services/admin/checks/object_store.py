"""Checks of the S3: a round trip of a small object in each way that videos take, from the browser too; clock, CORS, disk."""

import base64
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from videovault import logs
from videovault.clock import utcnow
from videovault.config import settings
from videovault.errors import StorageError
from videovault.formatting import format_duration, format_size
from videovault.gateways import http_check, s3_client, storage, store_probe
from videovault.gateways.s3_client import VISIBLE_SECONDS
from videovault.gateways.storage import Description
from videovault.gateways.store_capabilities import Capabilities, Checksum, Feature, S3Call
from videovault.services.admin.checks.result import (
    CORS,
    CheckResult,
    CheckView,
    StepView,
    failed_check,
    storage_advice,
)
from videovault.services.core.access import Caller, check_admin

ALLOW_VERSIONS = (
    "Allow s3:ListBucketVersions on the bucket and s3:DeleteObjectVersion on its objects. What an Object Lock keeps goes "
    "only after its time: let a lifecycle rule delete noncurrent versions then."
)


def describe_capabilities(known: Capabilities) -> Iterator[str]:
    """One sentence for each capability that matters to videos."""
    yield _checksums(known)
    yield _feature(
        known,
        Feature.METADATA,
        "Metadata: kept.",
        "Metadata: not kept, so a replaced file is detected by size and checksum only",
    )
    yield _feature(
        known,
        Feature.TAGGING,
        "Copying: a stored video can be tagged again.",
        "Copying: refused, so a video keeps its first tag when its key is replaced",
    )
    yield _feature(
        known,
        Feature.LIST_UPLOADS,
        "Unfinished uploads: listed.",
        "Unfinished uploads: not listed, so a lifecycle rule should abort those left by crashes",
    )
    yield _versions(known)


def _checksums(known: Capabilities) -> str:
    weaker = [call for call in S3Call if known.checksum_for(call) is not Checksum.CRC32]
    if not weaker:
        return "Checksums: CRC-32 with every call."
    kinds = [_calls_with(known, checksum) for checksum in (Checksum.MD5, Checksum.NONE)]
    kinds += ["CRC-32 with all other calls"] if len(weaker) < len(S3Call) else []
    reasons = [fact.why for call in weaker if (fact := known.fact(call)) and fact.why]
    said = f" The S3 said: {reasons[0]}" if reasons else ""
    return f"Checksums: {'; '.join(filter(None, kinds))}.{said}"


def _calls_with(known: Capabilities, checksum: Checksum) -> str:
    calls = [str(call) for call in S3Call if known.checksum_for(call) is checksum]
    return f"{checksum} with {', '.join(calls)}" if calls else ""


def _feature(known: Capabilities, feature: Feature, can: str, cannot: str) -> str:
    if known.can(feature):
        return can
    fact = known.fact(feature)
    return f"{cannot} ({fact.why})." if fact and fact.why else f"{cannot}."


def _versions(known: Capabilities) -> str:
    if not known.can(Feature.VERSIONED):
        return "Versions: the bucket keeps none."
    kept = "Versions: kept, and deleted with their video."
    return _feature(known, Feature.DELETE_VERSIONS, kept, "Versions: kept, and cannot be deleted")


PREFIX = store_probe.PREFIX
MAX_VERSIONS_DELETED = 100
MAX_AGE = timedelta(minutes=15)
log = logs.get(__name__)


def new_key() -> str:
    return f"{PREFIX}{secrets.token_hex(12)}"


def try_delete(delete: Callable[[], object]) -> None:
    """A failure does not change the result of the check: ``sweep`` deletes the rest later."""
    try:
        delete()
    except StorageError as error:
        log.info("probe left for later", reason=error.public_message)


def sweep() -> None:
    """Delete what interrupted checks have left behind. Raises StorageError."""
    vault, before = storage.connected(), utcnow() - MAX_AGE
    vault.delete([each.key for each in vault.objects(PREFIX) if each.modified_at < before])
    for upload in vault.uploads(PREFIX):
        if upload.begun_at < before:
            vault.abort_upload(upload.key, upload.upload_id)
    if vault.capabilities.can(Feature.DELETE_VERSIONS):  # locked versions would be refused again and again
        old = {each.key for each in vault.versions(PREFIX) if each.modified_at < before}
        for key in sorted(old)[:MAX_VERSIONS_DELETED]:
            vault.delete_versions(key)


TEXT = Description("text/plain")
SKEW_SECONDS, MAX_SKEW_SECONDS = 60.0, 900.0  # S3 refuses what was signed a quarter of an hour ago
MIN_DISK_BYTES = 1024**3
MIN_PART_BYTES = 5 * 1024**2
OUTAGE_SECONDS = 3.0  # after a longer outage the S3 counts as broken
ROUND_TRIP_SECONDS = 30.0  # enough for 5 MiB over a slow line


@dataclass
class _RoundTrip:
    """A probe object; each step raises StorageError if it fails."""

    key: str
    body: bytes
    upload_id: str = ""

    @property
    def big_key(self) -> str:
        return f"{self.key}-parts"

    def write(self) -> None:
        storage.connected().put(self.key, self.body, TEXT, zlib.crc32(self.body))

    def read(self) -> None:
        vault, max_bytes = storage.connected(), len(self.body) + 1
        found = s3_client.poll_until(
            lambda: vault.read(self.key, max_bytes), lambda body: body is not None, VISIBLE_SECONDS
        )
        self._compare(found)

    def presign(self) -> None:
        self._compare(http_check.fetch_by_link(storage.connected(), self.key))

    def multipart(self) -> None:
        """As in a transfer: S3 requires parts of at least 5 MiB, except for the last one."""
        vault, first = storage.connected(), bytes(MIN_PART_BYTES)
        self.upload_id = vault.start_upload(self.big_key, TEXT)
        sent = []
        for number, body in enumerate((first, self.body), 1):
            crc32 = zlib.crc32(body)
            part = vault.upload_part(self.big_key, self.upload_id, number, body, crc32)
            sent.append(_SentPart(number, part.etag, crc32))
        whole = zlib.crc32(self.body, zlib.crc32(first))
        vault.complete_upload(self.big_key, self.upload_id, sent, whole)
        self.upload_id = ""
        info = vault.info(self.big_key, wait_seconds=VISIBLE_SECONDS)
        if info is None or info.size != len(first) + len(self.body) or info.crc32 not in (None, whole):
            raise StorageError("S3 does not hold what was uploaded in parts.")

    def delete(self) -> None:
        vault = storage.connected()
        vault.delete([self.key, self.big_key])
        found = s3_client.poll_until(lambda: vault.info(self.key), lambda info: info is None, VISIBLE_SECONDS)
        if found is not None:
            raise StorageError("S3 still has an object that was deleted.")

    def clear(self) -> None:
        """Delete everything, after any number of steps."""
        vault = storage.connected()
        if self.upload_id:
            vault.abort_upload(self.big_key, self.upload_id)
        vault.delete([self.key, self.big_key])

    def _compare(self, body: bytes | None) -> None:
        if body != self.body:
            raise StorageError("S3 returns something other than what was stored.")


@dataclass(frozen=True)
class _SentPart:
    number: int
    etag: str
    crc32: int


def round_trip() -> CheckResult:
    """All operations on videos, with a small object; then the store's capabilities are detected again."""
    trip = _RoundTrip(new_key(), secrets.token_bytes(1024))
    steps: dict[str, Callable[[], None]] = {
        "Write": trip.write,
        "Read": trip.read,
        "Signed link": trip.presign,
        "Upload in parts": trip.multipart,
        "Delete": trip.delete,
    }
    done: list[str] = []
    try:
        with s3_client.use_policy(s3_client.StorageRetryPolicy(OUTAGE_SECONDS)):
            for name, run_step in steps.items():
                run_step()
                done.append(name)
            storage.connected().probe()
    except StorageError as error:
        try_delete(trip.clear)
        view_steps = tuple(StepView(name=name, is_done=name in done) for name in steps)
        return failed_check(error, storage_advice(error), view_steps)
    view_steps = tuple(StepView(name=name, is_done=True) for name in steps)
    return _worked(storage.connected().capabilities, view_steps)


def _worked(known: Capabilities, steps: tuple[StepView, ...]) -> CheckResult:
    found = "A small object was stored, read, linked, sent in parts and deleted."
    details = tuple(describe_capabilities(known))
    if known.can(Feature.VERSIONED) and not known.can(Feature.DELETE_VERSIONS):
        found += " The bucket keeps versions, which VideoVault cannot delete: deleted videos stay in it."
        return CheckResult("warning", found, ALLOW_VERSIONS, steps=steps, details=details)
    return CheckResult("ok", found, steps=steps, details=details)


def clock() -> CheckResult:
    """By the Date header of any response of the S3, even an error."""
    before = utcnow()
    response = _send(storage.connected().presign(new_key(), seconds=60, internal=True))
    if response.at is None:
        return CheckResult("warning", "The S3 does not report its time.")
    middle = before + (utcnow() - before) / 2
    skew = (middle - response.at).total_seconds()
    seconds_off = abs(skew) if abs(skew) > 1 else 0  # Date has whole seconds
    if seconds_off < SKEW_SECONDS:
        return CheckResult("ok", f"This machine and the S3 agree within {max(1, round(seconds_off))} s.")
    found = f"This machine's clock is {format_duration(seconds_off)} {'ahead of' if skew > 0 else 'behind'} the S3's."
    advice = "Set the clock of this machine, best by NTP: S3 refuses requests that are 15 minutes off."
    return CheckResult("broken" if seconds_off >= MAX_SKEW_SECONDS else "warning", found, advice)


def cors() -> CheckResult:
    config = settings()
    if not config.object_origins:
        return CheckResult("ok", "Videos come from this address itself, so the bucket needs no CORS rule.")
    headers = {"Origin": config.base_url, "Access-Control-Request-Method": "GET"}
    response = _send(storage.connected().presign(new_key(), seconds=60), "OPTIONS", headers)
    allowed = response.headers.get("access-control-allow-origin", "")
    if response.status < 400 and allowed in ("*", config.base_url):
        return CheckResult("ok", "The bucket lets pages of this address read videos by script.")
    found = "The bucket lets no script of this address read videos."
    return CheckResult("warning", found, CORS.advice, CORS.name)


def disk() -> CheckResult:
    usage = shutil.disk_usage(settings().data_dir)
    found = f"{format_size(usage.free)} of {format_size(usage.total)} are free."
    if usage.free >= 2 * settings().max_video_bytes:
        return CheckResult("ok", found)
    advice = "Delete videos that are not needed, or move DATA_DIR to a larger disk."
    return CheckResult("broken" if usage.free < MIN_DISK_BYTES else "warning", found, advice)


def _send(
    link: str, method: http_check.Method = "GET", headers: Mapping[str, str] | None = None
) -> http_check.CheckResponse:
    try:
        return http_check.send_request(link, method, headers)
    except http_check.Unreachable as error:
        raise StorageError(
            "S3 does not answer, or its answer cannot be understood.", retryable=True
        ) from error


BROWSER = ("browser", "Videos in your browser")
LINK_SECONDS = 60
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # the smallest GIF


@dataclass(frozen=True)
class Probe:
    """A picture in the bucket, and its link for the browser."""

    key: str
    url: str


def start_browser_check(caller: Caller) -> Probe:
    """Store a picture; ``finish_browser_check`` deletes it. Raises Forbidden for non-admins, StorageError."""
    check_admin(caller)
    key = new_key()
    storage.connected().put(key, PIXEL, Description("image/gif"))
    return Probe(key, storage.connected().presign(key, seconds=LINK_SECONDS))


def finish_browser_check(caller: Caller, key: str) -> None:
    """Delete the picture. Raises Forbidden for non-admins."""
    check_admin(caller)
    if key.startswith(PREFIX):
        try_delete(lambda: storage.connected().delete([key]))


def browser_untested() -> CheckView:
    """The result if no picture could be stored for the browser."""
    name, title = BROWSER
    found = "Not tested in your browser: nothing could be stored in the S3 for it to fetch."
    return CheckView(name=name, title=title, state="warning", found=found, advice="Repair the S3 first.")


def browser_result(*, arrived: bool) -> CheckView:
    """The result, by whether the picture arrived in the browser."""
    name, title = BROWSER
    if arrived:
        found = "Your browser fetched a picture from the S3 by a signed link."
        return CheckView(name=name, title=title, state="ok", found=found)
    where = settings().object_origins[0] if settings().object_origins else settings().base_url
    return CheckView(
        name=name,
        title=title,
        state="broken",
        found=f"Your browser could not fetch a picture from {where}, so no video plays in it.",
        advice="Check that browsers can reach this address. If the S3 has another one for them, set "
        "S3_PUBLIC_ENDPOINT_URL; if people use another address for VideoVault, set PUBLIC_URL.",
    )
