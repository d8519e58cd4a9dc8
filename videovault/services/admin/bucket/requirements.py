"""What VideoVault needs of the settings of its bucket, compared with what a bucket has.

Each function takes the present document, None if there is none, and returns a judgement. ``wanted`` is the present
document with what is missing added to it: rules of others stay as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from videovault.gateways.bucket_settings import Document

State = Literal["ok", "warning", "broken"]
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

    state: State
    found: str
    fix: str = ""
    wanted: Document | None = None


@dataclass(frozen=True)
class Requirement:
    title: str
    reason: str
    judge: Callable[[Document | None, Needs], Judgement]


def user_policy(needs: Needs) -> Document:
    """The IAM policy that VideoVault's keys need."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": f"{needs.bucket_arn}/*"},
            {"Effect": "Allow", "Action": list(BUCKET_ACTIONS), "Resource": needs.bucket_arn},
        ],
    }


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


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
