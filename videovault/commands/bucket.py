"""Output of `python -m videovault bucket`: the settings of the bucket, and what is missing in them."""

import json
import shlex
from collections.abc import Iterable, Mapping

from videovault.commands.output import console, plain
from videovault.config import settings
from videovault.gateways.bucket_settings import Document, Unsupported
from videovault.services.admin import bucket
from videovault.services.admin.bucket import Finding

OK, WARNINGS, BROKEN = 0, 1, 2
STATUS: Mapping[str, int] = {"warning": WARNINGS, "broken": BROKEN}
AWS_COMMANDS = {
    "policy": "put-bucket-policy --policy",
    "public-access": "put-public-access-block --public-access-block-configuration",
    "encryption": "put-bucket-encryption --server-side-encryption-configuration",
    "cors": "put-bucket-cors --cors-configuration",
    "lifecycle": "put-bucket-lifecycle-configuration --lifecycle-configuration",
}


def show() -> int:
    """Print the present settings; always 0."""
    try:
        for title, document in bucket.show():
            text = "none" if document is None else document
            _print(f"{title}: {text}" if isinstance(text, str) else f"{title}:\n{_json(text, indent=2)}")
    except Unsupported as error:
        _print(error.public_message)
    return OK


def check() -> int:
    """Print each setting; the status is 0, 1 with warnings, or 2 if VideoVault cannot work with one."""
    try:
        return _report(bucket.check())
    except Unsupported as error:
        _print(error.public_message)
        return OK


def setup(*, dry_run: bool) -> int:
    """Add what is missing and print the result; the status is that of ``check`` afterwards."""

    def announce(finding: Finding) -> None:
        verb = "Would change" if dry_run else "Changing"
        _print(f"{verb} {finding.title}: {by_hand(finding)}")

    try:
        return _report(bucket.setup(dry_run=dry_run, before_change=announce))
    except Unsupported as error:
        _print(error.public_message)
        return OK


def by_hand(finding: Finding) -> str:
    """The AWS command line that does what ``setup`` would."""
    chosen = settings()
    endpoint = f" --endpoint-url {chosen.aws_endpoint_url_s3}" if chosen.aws_endpoint_url_s3 else ""
    name = shlex.quote(chosen.aws_s3_bucket_name)
    if finding.wanted is None:
        return f"aws{endpoint} s3 mb s3://{name} --region {chosen.aws_region}"
    command = AWS_COMMANDS[finding.name]
    return f"aws{endpoint} s3api {command.replace(' ', f' --bucket {name} ', 1)} {shlex.quote(_json(finding.wanted))}"


def _report(findings: Iterable[Finding]) -> int:
    status = OK
    for finding in findings:
        status = max(status, STATUS.get(finding.state, OK))
        _print(f"{finding.state:<11} {finding.title}: {finding.found}")
        if finding.state not in ("ok", "unsupported"):
            _print(*(f"{'':<11} {line}" for line in _advice(finding)))
    return status


def _advice(finding: Finding) -> Iterable[str]:
    if finding.reason:
        yield f"Why: {finding.reason}"
    if finding.fix:
        yield f"Fix: {finding.fix}"
    if finding.wanted is not None:
        yield f"Fix: `python -m videovault bucket setup`, or {by_hand(finding)}"


def _json(document: Document, indent: int | None = None) -> str:
    return json.dumps(document, indent=indent, default=str)


def _print(*lines: str) -> None:
    for line in lines:
        for part in line.split("\n"):
            console().print(plain(part))
