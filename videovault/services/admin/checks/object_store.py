"""Checks of the S3: a small object there and back in every way that videos take, the clock, CORS, and the disk."""

import base64
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from videovault import logs
from videovault.config import settings
from videovault.errors import StorageError
from videovault.formatting import format_size
from videovault.gateways import http_check, s3_retry, storage, store_probe
from videovault.gateways.s3_retry import VISIBLE_SECONDS
from videovault.gateways.storage import Description, KeptVersions
from videovault.gateways.store_capabilities import Capabilities, Checksum, Feature, S3Call
from videovault.models import utcnow
from videovault.services.admin.checks.result import (
    CORS,
    CheckView,
    Outcome,
    StepView,
    about,
    broken,
    mend_storage,
)
from videovault.services.core.access import Caller, check_admin

# What was learned of the store, in sentences for the System page.

ALLOW_VERSIONS = (
    "Allow s3:ListBucketVersions on the bucket and s3:DeleteObjectVersion on its objects. What an Object Lock keeps goes "
    "only after its time: let a lifecycle rule delete noncurrent versions then."
)


def in_words(known: Capabilities) -> Iterator[str]:
    """One sentence for each thing that matters to videos."""
    yield _checksums(known)
    yield _feature(
        known,
        Feature.METADATA,
        "Metadata: kept.",
        "Metadata: not kept, so a file that was put in the place of a video is told by size and checksum only",
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
        "Unfinished uploads: not listed, so a lifecycle rule should abort those that crashes leave",
    )
    yield _versions(known)


def _checksums(known: Capabilities) -> str:
    weaker = [call for call in S3Call if known.sums(call) is not Checksum.CRC32]
    if not weaker:
        return "Checksums: CRC-32 with every call."
    kinds = [_with(known, sums) for sums in (Checksum.MD5, Checksum.NONE)]
    kinds += ["CRC-32 with all other calls"] if len(weaker) < len(S3Call) else []
    reasons = [fact.why for call in weaker if (fact := known.fact(call)) and fact.why]
    said = f" The S3 said: {reasons[0]}" if reasons else ""
    return f"Checksums: {'; '.join(filter(None, kinds))}.{said}"


def _with(known: Capabilities, sums: Checksum) -> str:
    calls = [str(call) for call in S3Call if known.sums(call) is sums]
    return f"{sums} with {', '.join(calls)}" if calls else ""


def _feature(known: Capabilities, feature: Feature, can: str, cannot: str) -> str:
    if known.can(feature):
        return can
    fact = known.fact(feature)
    return f"{cannot} ({fact.why})." if fact and fact.why else f"{cannot}."


def _versions(known: Capabilities) -> str:
    if not known.can(Feature.VERSIONED):
        return "Versions: the bucket keeps none."
    kept = "Versions: kept, and deleted with their video."
    return _feature(known, Feature.DELETE_VERSIONS, kept, "Versions: kept, and not to be deleted")


# Small objects that come and go in a place of their own in the bucket, so that nothing else is ever touched.

PREFIX = store_probe.PREFIX
MOST_AT_ONCE = 100
LIFE = timedelta(minutes=15)
log = logs.get(__name__)


def new_key() -> str:
    return f"{PREFIX}{secrets.token_hex(12)}"


def new_body() -> bytes:
    return secrets.token_bytes(1024)


def clear(take_away: Callable[[], object]) -> None:
    """What cannot be taken away now is swept up later: the check has its answer already."""
    try:
        take_away()
    except StorageError as error:
        log.info("probe left for later", reason=error.public_message)


def sweep() -> None:
    """Delete what checks that were cut short left behind. Raises StorageError."""
    vault, before = storage.connected(), utcnow() - LIFE
    vault.delete([each.key for each in vault.objects(PREFIX) if each.modified_at < before])
    for upload in vault.uploads(PREFIX):
        if upload.begun_at < before:
            vault.abort_upload(upload.key, upload.upload_id)
    if vault.capabilities.can(Feature.DELETE_VERSIONS):  # what is locked would be refused again and again
        old = {each.key for each in vault.versions(PREFIX) if each.modified_at < before}
        for key in sorted(old)[:MOST_AT_ONCE]:
            vault.delete_versions(key)


TEXT = Description("text/plain")
SKEW_SECONDS, MOST_SKEW_SECONDS = 60.0, 900.0  # S3 refuses what was signed a quarter of an hour ago
LEAST_DISK_BYTES = 1024**3
LEAST_PART_BYTES = 5 * 1024**2
AWAY_SECONDS = 3.0  # an S3 that stays away for longer is said to be broken
ROUND_TRIP_SECONDS = 30.0  # 5 MiB have to get through a slow line


@dataclass
class _RoundTrip:
    """A probe on its way; each step raises StorageError where it fails."""

    key: str
    body: bytes
    upload_id: str = ""
    kept: KeptVersions | None = None

    @property
    def big_key(self) -> str:
        return f"{self.key}-parts"

    def write(self) -> None:
        storage.connected().put(self.key, self.body, TEXT, zlib.crc32(self.body))

    def read(self) -> None:
        vault, most = storage.connected(), len(self.body) + 1
        found = s3_retry.poll_until(
            lambda: vault.read(self.key, most), lambda body: body is not None, VISIBLE_SECONDS
        )
        self._compare(found)

    def presign(self) -> None:
        self._compare(http_check.fetch_by_link(storage.connected(), self.key))

    def multipart(self) -> None:
        """As a transfer does it: S3 takes parts of 5 MiB and more, and a shorter last one."""
        vault, first = storage.connected(), bytes(LEAST_PART_BYTES)
        self.upload_id = vault.start_upload(self.big_key, TEXT)
        sent = []
        for number, body in enumerate((first, self.body), 1):
            crc32 = zlib.crc32(body)
            part = vault.upload_part(self.big_key, self.upload_id, number, body, crc32)
            sent.append(_Sent(number, part.etag, crc32))
        whole = zlib.crc32(self.body, zlib.crc32(first))
        vault.complete_upload(self.big_key, self.upload_id, sent, whole)
        self.upload_id = ""
        info = vault.info(self.big_key, wait_seconds=VISIBLE_SECONDS)
        if info is None or info.size != len(first) + len(self.body) or info.crc32 not in (None, whole):
            raise StorageError("S3 does not hold what was sent to it in parts.")

    def delete(self) -> None:
        vault = storage.connected()
        self.kept = vault.delete([self.key, self.big_key])
        found = s3_retry.poll_until(lambda: vault.info(self.key), lambda info: info is None, VISIBLE_SECONDS)
        if found is not None:
            raise StorageError("S3 still has an object that was deleted.")

    def clear(self) -> None:
        """Leave nothing behind, however far it came."""
        vault = storage.connected()
        if self.upload_id:
            vault.abort_upload(self.big_key, self.upload_id)
        vault.delete([self.key, self.big_key])

    def _compare(self, body: bytes | None) -> None:
        if body != self.body:
            raise StorageError("S3 gives back something else than what was stored.")


@dataclass(frozen=True)
class _Sent:
    number: int
    etag: str
    crc32: int


def round_trip() -> Outcome:
    """All that is done with videos, on a small object; then what the store can do is found out again."""
    trip = _RoundTrip(new_key(), new_body())
    steps: dict[str, Callable[[], None]] = {
        "Write": trip.write,
        "Read": trip.read,
        "Signed link": trip.presign,
        "Upload in parts": trip.multipart,
        "Delete": trip.delete,
    }
    done: list[str] = []
    try:
        with s3_retry.use_policy(s3_retry.StorageRetryPolicy(AWAY_SECONDS)):
            for name, take in steps.items():
                take()
                done.append(name)
            storage.connected().learn()
    except StorageError as error:
        clear(trip.clear)
        taken = tuple(StepView(name=name, is_done=name in done) for name in steps)
        return broken(error, mend_storage(error), taken)
    taken = tuple(StepView(name=name, is_done=True) for name in steps)
    return _worked(storage.connected().capabilities, taken)


def _worked(known: Capabilities, steps: tuple[StepView, ...]) -> Outcome:
    found = "A small object was stored, read, linked, sent in parts and deleted."
    details = tuple(in_words(known))
    if known.can(Feature.VERSIONED) and not known.can(Feature.DELETE_VERSIONS):
        found += " The bucket keeps versions, which VideoVault cannot delete: deleted videos stay in it."
        return Outcome("warning", found, ALLOW_VERSIONS, steps=steps, details=details)
    return Outcome("ok", found, steps=steps, details=details)


def clock() -> Outcome:
    """By the Date of any answer of the S3's, a refusal too."""
    before = utcnow()
    answer = _asked(storage.connected().presign(new_key(), seconds=60, internal=True))
    if answer.at is None:
        return Outcome("warning", "The S3 does not say what time it is.")
    middle = before + (utcnow() - before) / 2
    skew = (middle - answer.at).total_seconds()
    off = abs(skew) if abs(skew) > 1 else 0  # Date tells whole seconds
    if off < SKEW_SECONDS:
        return Outcome("ok", f"This machine and the S3 agree within {max(1, round(off))} s.")
    found = f"This machine's clock is {about(timedelta(seconds=off))} {'ahead of' if skew > 0 else 'behind'} the S3's."
    mend = "Set the clock of this machine, best by NTP: S3 refuses requests that are 15 minutes off."
    return Outcome("broken" if off >= MOST_SKEW_SECONDS else "warning", found, mend)


def cors() -> Outcome:
    chosen = settings()
    if not chosen.object_origins:
        return Outcome("ok", "Videos come from this address itself, so the bucket needs no CORS rule.")
    asked = {"Origin": chosen.base_url, "Access-Control-Request-Method": "GET"}
    answer = _asked(storage.connected().presign(new_key(), seconds=60), "OPTIONS", asked)
    allowed = answer.headers.get("access-control-allow-origin", "")
    if answer.status < 400 and allowed in ("*", chosen.base_url):
        return Outcome("ok", "The bucket lets pages of this address read videos by script.")
    found = "The bucket lets no script of this address read videos."
    return Outcome("warning", found, CORS.advice, CORS.name)


def disk() -> Outcome:
    usage = shutil.disk_usage(settings().data_dir)
    found = f"{format_size(usage.free)} of {format_size(usage.total)} are free."
    if usage.free >= 2 * settings().max_video_bytes:
        return Outcome("ok", found)
    mend = "Delete videos that are not needed, or move DATA_DIR to a larger disk."
    return Outcome("broken" if usage.free < LEAST_DISK_BYTES else "warning", found, mend)


def _asked(
    link: str, method: http_check.Method = "GET", headers: Mapping[str, str] | None = None
) -> http_check.CheckResponse:
    try:
        return http_check.send_request(link, method, headers)
    except http_check.Unreachable as error:
        raise StorageError(
            "S3 does not answer, or its answer cannot be understood.", retryable=True
        ) from error


# Whether the admin's own browser reaches the S3: it is given a picture to fetch, and says how that went.

BROWSER = ("browser", "Videos in your browser")
LINK_SECONDS = 60
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # the smallest GIF


@dataclass(frozen=True)
class Probe:
    """A picture in the bucket, and the link by which a browser fetches it."""

    key: str
    url: str


def begin(caller: Caller) -> Probe:
    """Put the picture there; ``end`` takes it away. Raises Forbidden for anyone but admins, StorageError."""
    check_admin(caller)
    key = new_key()
    storage.connected().put(key, PIXEL, Description("image/gif"))
    return Probe(key, storage.connected().presign(key, seconds=LINK_SECONDS))


def end(caller: Caller, key: str) -> None:
    """Take the picture away. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    if key.startswith(PREFIX):
        clear(lambda: storage.connected().delete([key]))


def unasked() -> CheckView:
    """The browser was not asked, for want of a picture to fetch."""
    name, title = BROWSER
    found = "Your browser was not asked: nothing can be stored in the S3 that it could fetch."
    return CheckView(name=name, title=title, state="warning", found=found, mend="Mend the S3 first.")


def judge(*, arrived: bool) -> CheckView:
    """What it means that the picture arrived, or did not."""
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
        mend="Check that browsers can reach this address. If the S3 has another one for them, set "
        "S3_PUBLIC_ENDPOINT_URL; if people use another address for VideoVault, set PUBLIC_URL.",
    )
