"""Check the settings of the bucket against what VideoVault needs, and add what is missing.

Each function of a setting takes the present document, None if there is none, and returns a judgement. ``wanted`` is the
present document with what is missing added to it: rules of others stay as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from videovault.config import settings
from videovault.errors import StorageError
from videovault.gateways import bucket_settings, store_capabilities
from videovault.gateways.bucket_settings import SETTINGS, BucketSettings, Document, Unsupported
from videovault.gateways.s3_client import AccessDenied
from videovault.services.admin.checks import object_store
from videovault.services.admin.checks import result as check_result
from videovault.services.admin.checks.result import failed_check, storage_advice

# unsupported: the store lacks the call, which is no failure. unknown: the keys may not read it.
State = Literal["ok", "warning", "broken", "unsupported", "unknown"]
PREFIX = "videos/"
RULE_ID = "videovault"
TLS_STATEMENT = "VideoVaultRequireTLS"
ABORT_DAYS, MAX_ABORT_DAYS = 7, 30
MAX_CORS_RULES = 100
FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
METHODS = ("GET", "HEAD")
EXPOSED_HEADERS = ("ETag", "Content-Range", "Content-Length")
UNREADABLE_CLASSES = {"GLACIER", "DEEP_ARCHIVE"}
OBJECT_ACTIONS = (
    "s3:PutObject",
    "s3:GetObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
BUCKET_ACTIONS = (
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetBucketVersioning",
    "s3:ListBucketMultipartUploads",
)
FOR_THIS_COMMAND = "Only this command needs it: run it with an administrator's keys instead, if you like."


@dataclass(frozen=True)
class Needs:
    """What the judgements depend on; ``origin`` is that of the pages."""

    bucket: str
    origin: str
    uses_tls: bool = True
    sse: str = ""
    kms_key_id: str = ""
    partition: str = "aws"

    @property
    def bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.bucket}"


@dataclass(frozen=True)
class Judgement:
    """``fix`` says what a person has to do; ``wanted`` is what ``setup`` writes instead, if it can."""

    state: check_result.State
    found: str
    fix: str = ""
    wanted: Document | None = None


@dataclass(frozen=True)
class Requirement:
    title: str
    reason: str
    judge: Callable[[Document | None, Needs], Judgement]


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


Confirm = Callable[["Finding"], object]


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


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def user_policy(needs: Needs) -> Document:
    """The IAM policy that VideoVault's keys need."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": f"{needs.bucket_arn}/*"},
            {"Effect": "Allow", "Action": list(BUCKET_ACTIONS), "Resource": needs.bucket_arn},
        ],
    }


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


def policy(present: Document | None, needs: Needs) -> Judgement:
    """No statement makes videos public or denies VideoVault its calls, and requests without TLS are denied."""
    statements: list[Document] = (present or {}).get("Statement", [])
    for number, statement in enumerate(statements, 1):
        name = statement.get("Sid") or f"number {number}"
        if _is_for_everyone(statement) and _is_about_videos(statement, needs):
            if statement.get("Effect") == "Allow":
                return Judgement(
                    "broken",
                    f"The statement {name} lets everyone use the bucket without a signed link.",
                    f"Remove the statement {name} from the bucket policy, or limit it to another prefix than {PREFIX}.",
                )
            denied = sorted(_denied_actions(statement))
            if denied:
                return Judgement(
                    "broken",
                    f"The statement {name} denies everyone {', '.join(denied)}.",
                    f"Remove the statement {name} from the bucket policy, or exempt VideoVault's user from it.",
                )
    if not needs.uses_tls:
        return Judgement("ok", "Nothing is public. The endpoint has no TLS that could be required.")
    if any(_denies_plain_http(statement) for statement in statements):
        return Judgement("ok", "Nothing is public, and requests without TLS are denied.")
    deny = {
        "Sid": TLS_STATEMENT,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [needs.bucket_arn, f"{needs.bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    wanted = {"Version": "2012-10-17", **(present or {}), "Statement": [*statements, deny]}
    return Judgement("warning", "Nothing is public, but requests without TLS are allowed.", wanted=wanted)


def public_access(present: Document | None, _needs: Needs) -> Judgement:
    """All four flags of the public access block are set."""
    missing = [flag for flag in FLAGS if not (present or {}).get(flag)]
    if not missing:
        return Judgement("ok", "All public access is blocked.")
    found = f"Not set: {', '.join(missing)}." if present else "There is no public access block."
    return Judgement("warning", found, wanted={**(present or {}), **dict.fromkeys(FLAGS, True)})


def encryption(present: Document | None, needs: Needs) -> Judgement:
    """Objects are encrypted by default, in whichever way."""
    rules: list[Document] = (present or {}).get("Rules", [])
    chosen = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules]
    if any(chosen):
        return Judgement("ok", f"New objects are encrypted by default ({', '.join(filter(None, chosen))}).")
    default = {"SSEAlgorithm": needs.sse or "AES256"}
    if needs.kms_key_id:
        default["KMSMasterKeyID"] = needs.kms_key_id
    rule = {"ApplyServerSideEncryptionByDefault": default}
    return Judgement("warning", "New objects are not encrypted by default.", wanted={"Rules": [*rules, rule]})


def cors(present: Document | None, needs: Needs) -> Judgement:
    """Scripts of PUBLIC_URL may read videos by presigned links."""
    rules: list[Document] = (present or {}).get("CORSRules", [])
    if all(_first_match(rules, needs.origin, method) for method in METHODS):
        return Judgement("ok", f"{needs.origin} may {' and '.join(METHODS)}.")
    rule = {
        "ID": RULE_ID,
        "AllowedHeaders": ["*"],
        "AllowedMethods": list(METHODS),
        "AllowedOrigins": [needs.origin],
        "ExposeHeaders": list(EXPOSED_HEADERS),
        "MaxAgeSeconds": 3600,
    }
    others = [each for each in rules if each.get("ID") != RULE_ID]
    found = f"No rule allows {' and '.join(METHODS)} from {needs.origin}."
    if len(others) >= MAX_CORS_RULES:
        return Judgement(
            "warning",
            found,
            f"Add {needs.origin} to one of the {len(others)} rules: a bucket cannot have more.",
        )
    return Judgement("warning", found, wanted={"CORSRules": [*others, rule]})


def versioning(present: Document | None, _needs: Needs) -> Judgement:
    """Versions are optional, but VideoVault must be able to delete them."""
    if (present or {}).get("MFADelete") == "Enabled":
        return Judgement(
            "warning",
            "Versions are kept and can be deleted with a second factor only: deleted videos stay in the bucket.",
            "Switch MFA Delete off (only the root user can), or let a lifecycle rule delete noncurrent versions.",
        )
    if (present or {}).get("Status") == "Enabled":
        return Judgement(
            "ok",
            "Versions are kept. VideoVault deletes all versions of a deleted video, which needs s3:ListBucketVersions "
            "and s3:DeleteObjectVersion.",
        )
    return Judgement("ok", "No versions are kept, so deleted videos are gone at once.")


def lifecycle(present: Document | None, _needs: Needs) -> Judgement:
    """Unfinished uploads are aborted some day, and no rule deletes or archives stored videos."""
    rules: list[Document] = (present or {}).get("Rules", [])
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    for rule in enabled:
        harm = _harm(rule) if _overlaps(rule) else ""
        if harm:
            name = rule.get("ID") or "without ID"
            return Judgement(
                "broken",
                f"The rule {name} {harm}.",
                f"Disable the rule {name}, or limit it to another prefix than {PREFIX}.",
            )
    days = [
        found
        for rule in enabled
        if _covers(rule)
        and (found := rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"))
    ]
    if days and min(days) <= MAX_ABORT_DAYS:
        return Judgement("ok", f"Unfinished uploads are aborted after {min(days)} days.")
    rule = {
        "ID": RULE_ID,
        "Status": "Enabled",
        "Filter": {"Prefix": PREFIX},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
    }
    others = [each for each in rules if each.get("ID") != RULE_ID]
    found = f"No rule aborts unfinished uploads within {MAX_ABORT_DAYS} days."
    return Judgement("warning", found, wanted={"Rules": [*others, rule]})


def _is_for_everyone(statement: Document) -> bool:
    principal = statement.get("Principal")
    return "*" in _as_list(principal.get("AWS") if isinstance(principal, dict) else principal)


def _is_about_videos(statement: Document, needs: Needs) -> bool:
    """Whether it applies to stored videos or the bucket itself, and always."""
    if statement.get("Condition"):
        return False
    videos = f"{needs.bucket_arn}/{PREFIX}"
    starts = [str(resource).partition("*")[0] for resource in _as_list(statement.get("Resource"))]
    return any(videos.startswith(start) or start.startswith(videos) for start in starts)


def _denied_actions(statement: Document) -> Iterator[str]:
    patterns = [str(action).lower() for action in _as_list(statement.get("Action"))]
    for action in (*OBJECT_ACTIONS, *BUCKET_ACTIONS):
        if any(_matches(pattern, action.lower()) for pattern in patterns):
            yield action


def _denies_plain_http(statement: Document) -> bool:
    conditions = (statement.get("Condition") or {}).get("Bool", {})
    plain = {str(value).lower() for value in _as_list(conditions.get("aws:SecureTransport"))}
    return statement.get("Effect") == "Deny" and _is_for_everyone(statement) and plain == {"false"}


def _first_match(rules: Sequence[Document], origin: str, method: str) -> bool:
    return any(
        method in rule.get("AllowedMethods", [])
        and any(_matches(pattern, origin) for pattern in rule.get("AllowedOrigins", []))
        for rule in rules
    )


def _matches(pattern: str, text: str) -> bool:
    """S3's patterns: ``*`` stands for any characters. Bounded: only prefix and suffix of one star are compared."""
    start, star, end = pattern.partition("*")
    if not star:
        return pattern == text
    return text.startswith(start) and text.endswith(end.rpartition("*")[2]) and len(text) >= len(start)


def _prefix(rule: Document) -> str:
    chosen = rule.get("Filter") or {}
    return str(chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or rule.get("Prefix") or "")


def _has_tag(rule: Document) -> bool:
    chosen = rule.get("Filter") or {}
    return bool(chosen.get("Tag") or chosen.get("And", {}).get("Tags"))


def _covers(rule: Document) -> bool:
    """Whether it applies to all that VideoVault stores. Objects have no tags, so a rule with one never applies."""
    return PREFIX.startswith(_prefix(rule)) and not _has_tag(rule)


def _overlaps(rule: Document) -> bool:
    prefix = _prefix(rule)
    return (PREFIX.startswith(prefix) or prefix.startswith(PREFIX)) and not _has_tag(rule)


def _harm(rule: Document) -> str:
    expiration = rule.get("Expiration", {})
    if "Days" in expiration:
        return f"deletes stored videos after {expiration['Days']} days"
    if "Date" in expiration:
        return "deletes stored videos on a date"
    archived = {each.get("StorageClass") for each in rule.get("Transitions", [])} & UNREADABLE_CLASSES
    return f"moves stored videos to {min(archived)}, where they cannot be played" if archived else ""


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


REQUIREMENTS: dict[str, Requirement] = {
    "policy": Requirement(
        "Bucket policy",
        "Videos are private: they are reached by signed links only, which must not travel unencrypted.",
        policy,
    ),
    "public-access": Requirement(
        "Public access block",
        "It keeps videos private even if a policy or an ACL is changed by mistake. Signed links work with it.",
        public_access,
    ),
    "encryption": Requirement(
        "Encryption", "Videos must not lie unencrypted on the store's disks.", encryption
    ),
    "cors": Requirement(
        "CORS",
        "Pages of PUBLIC_URL that read videos by script need it. Watching and downloading work without.",
        cors,
    ),
    "versioning": Requirement(
        "Versioning", "It is optional, but a deleted video has to leave the bucket.", versioning
    ),
    "lifecycle": Requirement(
        "Lifecycle",
        "Parts of unfinished uploads cost money and are invisible. VideoVault aborts its own; the rule is for those "
        "that a lost database or a missing permission leaves behind.",
        lifecycle,
    ),
}
