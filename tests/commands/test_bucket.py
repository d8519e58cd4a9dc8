"""`python -m videovault bucket` on moto: before and after setup, with rules of others, and on stores that lack calls."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.deploying_document import in_document
from tests.support.installation import Configure
from tests.support.s3_proxy import Behaviour, Refusal, Request, s3_proxy
from videovault.commands import bucket
from videovault.config import settings
from videovault.gateways import bucket_settings, storage
from videovault.gateways.storage import Storage

Said = Callable[[], str]
SUBRESOURCES = ("policy", "publicAccessBlock", "encryption", "cors", "lifecycle", "versioning")
THEIR_CORS = {"ID": "theirs", "AllowedMethods": ["PUT"], "AllowedOrigins": ["https://their.example.com"]}
THEIR_RULE = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}}
THEIR_STATEMENT = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::{bucket}/theirs/*",
}


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: capsys.readouterr().out


def states(text: str) -> dict[str, str]:
    """The state of each setting by its title."""
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "Chang", "Would"))]
    return {line[12:].partition(":")[0]: line[:12].strip() for line in lines}


def documents() -> dict[str, Any]:
    """All present settings."""
    connected = bucket_settings.connected()
    return {name: connected.read(name) for name in bucket_settings.SETTINGS}


def test_setup_writes_what_check_finds_missing(moto_s3: Storage, said: Said) -> None:
    del moto_s3
    assert bucket.check() == bucket.WARNINGS
    before = said()
    assert states(before) == {
        "Bucket": "ok",
        "Bucket policy": "ok",  # the endpoint has no TLS
        "Public access block": "warning",
        "Encryption": "warning",
        "CORS": "warning",
        "Versioning": "ok",
        "Lifecycle": "warning",
        "Permissions of the keys": "ok",
    }
    assert "Why: Parts of unfinished uploads cost money" in before
    assert "s3api put-bucket-cors --bucket" in before
    assert "http://localhost:3000" in before

    unchanged = documents()
    assert bucket.setup(dry_run=True) == bucket.WARNINGS
    assert said().count("Would change ") == 4
    assert documents() == unchanged

    assert bucket.setup(dry_run=False) == bucket.OK
    changed = said()
    assert changed.count("Changing ") == 4
    assert set(states(changed).values()) == {"ok"}

    complete = documents()
    assert bucket.setup(dry_run=False) == bucket.OK
    assert "Changing" not in said()
    assert documents() == complete


def test_the_document_shows_a_check_before_and_after_setup(
    moto_s3: Storage, said: Said, request: pytest.FixtureRequest
) -> None:
    """After a change: `python -m pytest tests/commands --write-deploying`."""
    shown = []
    for _ in range(2):
        status = bucket.check()
        text = (
            said().replace(moto_s3.bucket, "films").replace(settings().aws_endpoint_url_s3 or "", "http://s3")
        )
        lines = [line for line in text.splitlines() if not line.startswith(" ")]  # without reasons and fixes
        shown.append("\n".join(["$ python -m videovault bucket check", *lines, f"exit status {status}"]))
        bucket.setup(dry_run=False)
        said()
    seen = "```\n" + "\n\n$ python -m videovault bucket setup\n\n".join(shown) + "\n```"
    assert in_document(request.config, "bucket", seen) == seen


def test_setup_keeps_the_rules_of_others(moto_s3: Storage, said: Said) -> None:
    mine = bucket_settings.connected()
    theirs = {**THEIR_STATEMENT, "Resource": f"arn:aws:s3:::{moto_s3.bucket}/theirs/*"}
    mine.write("policy", {"Version": "2012-10-17", "Statement": [theirs]})
    mine.write("cors", {"CORSRules": [THEIR_CORS]})
    mine.write("lifecycle", {"Rules": [THEIR_RULE]})

    assert bucket.setup(dry_run=False) == bucket.OK

    said()
    after = documents()
    assert after["policy"]["Statement"] == [theirs]
    assert after["cors"]["CORSRules"][0]["AllowedOrigins"] == THEIR_CORS["AllowedOrigins"]
    assert after["lifecycle"]["Rules"][0]["Expiration"] == {"Days": 1}
    assert [len(after["cors"]["CORSRules"]), len(after["lifecycle"]["Rules"])] == [2, 2]


def test_rule_that_deletes_videos_is_named_and_not_changed(moto_s3: Storage, said: Said) -> None:
    del moto_s3
    harmful = {**THEIR_RULE, "Filter": {"Prefix": ""}}
    bucket_settings.connected().write("lifecycle", {"Rules": [harmful]})
    assert bucket.setup(dry_run=False) == bucket.BROKEN
    text = said()
    assert states(text)["Lifecycle"] == "broken"
    assert "The rule theirs deletes stored videos after 1 days." in text
    assert len(documents()["lifecycle"]["Rules"]) == 1


def test_setup_creates_a_missing_bucket(moto_s3: Storage, configure: Configure, said: Said) -> None:
    configure(AWS_S3_BUCKET_NAME=f"{moto_s3.bucket}-new")
    assert bucket.setup(dry_run=True) == bucket.WARNINGS
    assert f"s3 mb s3://{moto_s3.bucket}-new" in said()
    assert bucket.setup(dry_run=False) == bucket.OK
    assert storage.connected().info("nothing") is None


def test_show_prints_settings_and_the_policy_of_the_keys(moto_s3: Storage, said: Said) -> None:
    bucket_settings.connected().write("cors", {"CORSRules": [THEIR_CORS]})
    assert bucket.show() == bucket.OK
    text = said()
    assert "Bucket policy: none" in text
    assert "https://their.example.com" in text
    assert f"arn:aws:s3:::{moto_s3.bucket}/*" in text


class LacksCalls(Behaviour):
    """As R2, MinIO and B2, each of which lacks some of these; ``refusal`` is the answer to them."""

    def __init__(self, refusal: Refusal, only: str = "") -> None:
        self._refusal, self._only = refusal, only

    def refuse(self, request: Request) -> Refusal | None:
        asked = set(SUBRESOURCES) & request.query.keys()
        is_lacking = bool(asked) and (not self._only or request.method == self._only)
        return self._refusal if is_lacking else None


LISTING = "<ListBucketResult><Name>films</Name></ListBucketResult>"


# The second one ignores the sub-resource: it lists objects instead, and would take a PUT for the creation of a bucket.
@pytest.mark.parametrize("refusal", [(501, "NotImplemented"), (200, LISTING)])
def test_store_that_lacks_a_call_is_no_failure(
    moto_s3: Storage, moto_server: str, configure: Configure, said: Said, refusal: Refusal
) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        proxy.behaviour = LacksCalls(refusal)
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        assert bucket.setup(dry_run=False) == bucket.OK
        found = states(said())
    lacking = ("Bucket policy", "Public access block", "Encryption", "CORS", "Lifecycle")
    assert [found[title] for title in lacking] == ["unsupported"] * len(lacking)
    assert found["Permissions of the keys"] == "ok"


def test_setting_that_the_keys_may_not_read_names_the_permission(
    moto_s3: Storage, moto_server: str, configure: Configure, said: Said
) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        proxy.behaviour = LacksCalls((403, "AccessDenied"))
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        assert bucket.check() == bucket.OK
        text = said()
    assert states(text)["CORS"] == "unknown"
    assert "Allow s3:GetBucketCORS." in text


def test_setting_that_the_keys_may_not_change_stays_a_warning(
    moto_s3: Storage, moto_server: str, configure: Configure, said: Said
) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        proxy.behaviour = LacksCalls((403, "AccessDenied"), only="PUT")
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        assert bucket.setup(dry_run=False) == bucket.WARNINGS
        text = said()
    assert states(text)["CORS"] == "warning"
    assert "Allow s3:PutBucketCORS." in text


@pytest.mark.usefixtures("installation")
def test_embedded_s3_has_no_such_settings(said: Said) -> None:
    assert settings().uses_embedded_s3
    assert [bucket.check(), bucket.setup(dry_run=False), bucket.show()] == [bucket.OK] * 3
    assert said().count("The embedded S3 has no bucket settings") == 3
