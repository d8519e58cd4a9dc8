"""Bucket settings are compared with what VideoVault needs, and what is missing is added beside the rules of others."""

from typing import Any

import pytest

from videovault.services.admin.bucket import (
    FLAGS,
    MAX_CORS_RULES,
    REQUIREMENTS,
    TLS_STATEMENT,
    Judgement,
    Needs,
)

NEEDS = Needs(bucket="films", origin="https://videos.example.com")
ARN = "arn:aws:s3:::films"


def judge(name: str, present: dict[str, Any] | None, needs: Needs = NEEDS) -> Judgement:
    return REQUIREMENTS[name].judge(present, needs)


@pytest.mark.parametrize("name", [name for name in REQUIREMENTS if name != "versioning"])
def test_what_is_missing_is_wanted_and_then_enough(name: str) -> None:
    found = judge(name, None)
    assert (found.state, found.wanted is not None) == ("warning", True)
    again = judge(name, found.wanted)
    assert (again.state, again.wanted) == ("ok", None)


@pytest.mark.parametrize("present", [None, {}, {"Status": "Suspended"}, {"Status": "Enabled"}])
def test_versions_are_optional(present: dict[str, Any] | None) -> None:
    assert judge("versioning", present).state == "ok"


def test_versions_that_only_a_second_factor_deletes_are_a_warning() -> None:
    found = judge("versioning", {"Status": "Enabled", "MFADelete": "Enabled"})
    assert (found.state, "MFA Delete" in found.fix) == ("warning", True)


def statement(effect: str, action: str, resource: str = f"{ARN}/*", **more: Any) -> dict[str, Any]:
    return {
        "Sid": "Foreign",
        "Effect": effect,
        "Principal": {"AWS": "*"},
        "Action": action,
        "Resource": resource,
        **more,
    }


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (statement("Allow", "s3:GetObject"), "Foreign lets everyone use the bucket"),
        (statement("Allow", "s3:GetObject", f"{ARN}/videos/u1/*"), "Foreign lets everyone use the bucket"),
        (statement("Deny", "s3:Delete*"), "denies everyone s3:DeleteObject, s3:DeleteObjectVersion"),
        (statement("Deny", "*", ARN), "denies everyone s3:AbortMultipartUpload"),
    ],
)
def test_statement_that_exposes_or_blocks_videos_is_broken_and_not_changed(
    foreign: dict[str, Any], said: str
) -> None:
    found = judge("policy", {"Statement": [foreign]})
    assert (found.state, found.wanted) == ("broken", None)
    assert said in found.found
    assert "Remove the statement Foreign" in found.fix


@pytest.mark.parametrize(
    "foreign",
    [
        statement("Allow", "s3:GetObject", f"{ARN}/public/*"),
        statement("Allow", "s3:GetObject", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        statement("Deny", "s3:PutBucketAcl"),
        statement("Allow", "s3:GetObject", Principal={"AWS": "arn:aws:iam::123456789012:role/reader"}),
    ],
)
def test_foreign_statement_that_does_no_harm_stays(foreign: dict[str, Any]) -> None:
    found = judge("policy", {"Version": "2012-10-17", "Id": "theirs", "Statement": [foreign]})
    assert found.wanted is not None
    assert (found.wanted["Id"], found.wanted["Statement"][0]) == ("theirs", foreign)
    assert found.wanted["Statement"][1]["Sid"] == TLS_STATEMENT


def test_tls_rule_of_someone_else_is_enough() -> None:
    foreign = statement("Deny", "s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert judge("policy", {"Statement": [foreign]}).state == "ok"


def test_endpoint_without_tls_gets_no_tls_rule() -> None:
    plain = Needs(bucket="films", origin=NEEDS.origin, uses_tls=False)
    assert judge("policy", None, plain).state == "ok"


def test_flags_that_are_set_stay_and_the_others_are_added() -> None:
    found = judge("public-access", dict.fromkeys(FLAGS, False) | {"BlockPublicAcls": True})
    assert found.found == "Not set: IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets."
    assert found.wanted == dict.fromkeys(FLAGS, True)


def test_configured_kms_key_becomes_the_default() -> None:
    needs = Needs(bucket="films", origin=NEEDS.origin, sse="aws:kms", kms_key_id="key/1")
    wanted = judge("encryption", None, needs).wanted
    assert wanted == {
        "Rules": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key/1"}}
        ]
    }


def test_encryption_that_was_chosen_stays() -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse"}}
    assert judge("encryption", {"Rules": [rule]}).state == "ok"


@pytest.mark.parametrize("origin", ["*", "https://*.example.com", "https://videos.example.com"])
def test_any_rule_that_allows_the_origin_is_enough(origin: str) -> None:
    rules = [
        {"AllowedMethods": ["GET"], "AllowedOrigins": [origin]},
        {"AllowedMethods": ["HEAD", "PUT"], "AllowedOrigins": ["https://other.example.com", origin]},
    ]
    assert judge("cors", {"CORSRules": rules}).state == "ok"


@pytest.mark.parametrize(
    "origin", ["http://videos.example.com", "https://example.com", "https://*.example.org"]
)
def test_cors_rule_is_added_after_those_of_others(origin: str) -> None:
    foreign = {"ID": "theirs", "AllowedMethods": ["GET", "HEAD"], "AllowedOrigins": [origin]}
    wanted = judge("cors", {"CORSRules": [foreign]}).wanted
    assert wanted is not None
    assert wanted["CORSRules"][0] == foreign
    assert wanted["CORSRules"][1]["AllowedOrigins"] == [NEEDS.origin]


def test_own_cors_rule_follows_public_url() -> None:
    before = judge("cors", None, Needs(bucket="films", origin="http://localhost:3000")).wanted
    wanted = judge("cors", before).wanted
    assert wanted is not None
    assert [rule["AllowedOrigins"] for rule in wanted["CORSRules"]] == [[NEEDS.origin]]


def test_full_list_of_cors_rules_is_not_changed() -> None:
    rules = [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"]}] * MAX_CORS_RULES
    found = judge("cors", {"CORSRules": rules})
    assert (found.wanted, "a bucket cannot have more" in found.fix) == (None, True)


def rule(**more: Any) -> dict[str, Any]:
    return {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}, **more}


ARCHIVE = [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}]


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (rule(Expiration={"Days": 90}), "The rule theirs deletes stored videos after 90 days."),
        (rule(Filter={"Prefix": "videos/u1"}, Expiration={"Days": 9}), "deletes stored videos after 9 days"),
        (
            rule(Prefix="vid", Filter=None, Expiration={"Date": "2030-01-01"}),
            "deletes stored videos on a date",
        ),
        (rule(Transitions=ARCHIVE), "moves stored videos to DEEP_ARCHIVE"),
    ],
)
def test_rule_that_deletes_or_archives_videos_is_broken_and_not_changed(
    foreign: dict[str, Any], said: str
) -> None:
    found = judge("lifecycle", {"Rules": [foreign]})
    assert (found.state, found.wanted) == ("broken", None)
    assert said in found.found
    assert "Disable the rule theirs" in found.fix


@pytest.mark.parametrize(
    "foreign",
    [
        rule(Filter={"Prefix": "logs/"}, Expiration={"Days": 1}),
        rule(Filter={"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}}, Expiration={"Days": 1}),
        rule(Status="Disabled", Expiration={"Days": 1}),
        rule(Expiration={"ExpiredObjectDeleteMarker": True}),
        rule(Transitions=[{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}]),
        rule(Filter={"Prefix": "logs/"}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}),
        rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 365}),
    ],
)
def test_foreign_lifecycle_rule_that_does_no_harm_stays(foreign: dict[str, Any]) -> None:
    wanted = judge("lifecycle", {"Rules": [foreign]}).wanted
    assert wanted is not None
    assert wanted["Rules"][0] == foreign
    assert wanted["Rules"][1]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_rule_for_the_whole_bucket_is_enough() -> None:
    foreign = rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 3})
    assert judge("lifecycle", {"Rules": [foreign]}).state == "ok"
