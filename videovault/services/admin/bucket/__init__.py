"""Check the settings of the bucket against what VideoVault needs, and add what is missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from videovault.config import settings
from videovault.errors import StorageError
from videovault.gateways import bucket_settings, store_capabilities
from videovault.gateways.bucket_settings import SETTINGS, BucketSettings, Document, Unsupported
from videovault.gateways.s3_client import AccessDenied
from videovault.services.admin.bucket.requirements import (
    REQUIREMENTS,
    Judgement,
    Needs,
    origin_of,
    user_policy,
)
from videovault.services.admin.checks import object_store
from videovault.services.admin.checks.result import failed_check, storage_advice

# unsupported: the store lacks the call, which is no failure. unknown: the keys may not read it.
State = Literal["ok", "warning", "broken", "unsupported", "unknown"]
Confirm = Callable[["Finding"], object]
FOR_THIS_COMMAND = "Only this command needs it: run it with an administrator's keys instead, if you like."


@dataclass(frozen=True)
class Finding:
    """One setting of the bucket; ``wanted`` is the document that ``setup`` writes, None if there is nothing to write."""

    name: str
    title: str
    state: State
    found: str
    reason: str = ""
    fix: str = ""
    wanted: Document | None = None


def needs() -> Needs:
    chosen = settings()
    endpoint = chosen.aws_endpoint_url_s3
    return Needs(
        bucket=chosen.aws_s3_bucket_name,
        origin=origin_of(chosen.base_url),
        uses_tls=not endpoint or endpoint.startswith("https://"),
        sse=chosen.s3_sse,
        kms_key_id=chosen.s3_sse_kms_key_id,
        partition="aws-cn" if chosen.aws_region.startswith("cn-") else "aws",
    )


def check() -> Iterator[Finding]:
    """One finding after the other: the bucket, its settings, and whether the keys may do what VideoVault does.

    Raises StorageError if the store cannot be reached, and Unsupported for the embedded S3.
    """
    bucket = bucket_settings.connected()
    exists = _existence(bucket)
    yield exists
    if exists.state != "ok":
        return
    for name in REQUIREMENTS:
        yield _setting(bucket, name)
    yield _permissions()


def setup(*, dry_run: bool, before_change: Confirm) -> Iterator[Finding]:
    """Like ``check``, but first creates the bucket and writes what is missing, unless it is a ``dry_run``.

    ``before_change`` is called with what is about to be written. A setting that has been written is yielded as it is
    afterwards. Raises as ``check`` does.
    """
    bucket = bucket_settings.connected()
    exists = _existence(bucket)
    if exists.state == "warning":
        before_change(exists)
        if dry_run:
            yield exists
            return
        bucket.create()
        exists = _existence(bucket)
    yield exists
    if exists.state != "ok":
        return
    for name in REQUIREMENTS:
        finding = _setting(bucket, name)
        if finding.wanted is not None:
            before_change(finding)
            finding = finding if dry_run else _written(bucket, finding)
        yield finding
    yield _permissions()


def show() -> Iterator[tuple[str, Document | str | None]]:
    """The present settings by title: a document, None for none, or a sentence on why it cannot be read. Raises as ``check``."""
    bucket = bucket_settings.connected()
    for name, requirement in REQUIREMENTS.items():
        try:
            yield requirement.title, bucket.read(name)
        except (Unsupported, AccessDenied) as error:
            yield requirement.title, error.public_message
    yield "IAM policy that VideoVault's keys need", user_policy(needs())


def _existence(bucket: BucketSettings) -> Finding:
    title, reason = "Bucket", "Everything that VideoVault stores is in it."
    try:
        exists = bucket.exists()
    except StorageError as error:
        if error.retryable:
            raise
        result = failed_check(error, storage_advice(error))
        return Finding("bucket", title, "broken", result.found, reason, result.advice)
    if exists:
        return Finding("bucket", title, "ok", f"{bucket.bucket} exists.", reason)
    fix = f"Create it in {settings().aws_region}, or check AWS_S3_BUCKET_NAME and AWS_ENDPOINT_URL_S3."
    return Finding("bucket", title, "warning", f"{bucket.bucket} does not exist.", reason, fix)


def _setting(bucket: BucketSettings, name: str) -> Finding:
    requirement = REQUIREMENTS[name]
    try:
        judgement = requirement.judge(bucket.read(name), needs())
    except Unsupported:
        found = "This store has no such setting, which is no failure."
        return Finding(name, requirement.title, "unsupported", found, requirement.reason)
    except AccessDenied:
        fix = f"Allow {SETTINGS[name].may_read}. {FOR_THIS_COMMAND}"
        return Finding(
            name, requirement.title, "unknown", "The keys may not read it.", requirement.reason, fix
        )
    return _finding(name, judgement)


def _finding(name: str, judgement: Judgement) -> Finding:
    requirement = REQUIREMENTS[name]
    return Finding(
        name,
        requirement.title,
        judgement.state,
        judgement.found,
        requirement.reason,
        judgement.fix,
        judgement.wanted,
    )


def _written(bucket: BucketSettings, finding: Finding) -> Finding:
    try:
        bucket.write(finding.name, finding.wanted or {})
    except Unsupported:
        found = "This store can show this setting, but not change it."
        return Finding(finding.name, finding.title, "unsupported", found, finding.reason)
    except AccessDenied:
        fix = f"Allow {SETTINGS[finding.name].may_write}. {FOR_THIS_COMMAND}"
        return Finding(
            finding.name, finding.title, finding.state, finding.found, finding.reason, fix, finding.wanted
        )
    return _setting(bucket, finding.name)


def _permissions() -> Finding:
    """Whether the keys may do what VideoVault does with videos; tried with small objects."""
    title = "Permissions of the keys"
    reason = "VideoVault writes, reads, lists and deletes objects, and uploads in parts."
    with store_capabilities.without_memory():
        result = object_store.round_trip()
    return Finding("permissions", title, result.state, result.found, reason, result.advice)
