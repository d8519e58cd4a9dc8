"""Configured headers that cannot be sent or would break the request are refused at the start."""

import json
from pathlib import Path

import pytest

from tests.support.installation import Configure
from videovault.config import settings, validation
from videovault.errors import ConfigurationError

SECRET = "very-secret-value"
SPLITS = ("a\r\nX-Evil: b", "a\nb", "a\rb", "a\x00b", "a\x7fb", " a", "a ", "", "clé", "a\u2028b")
BAD_HEADERS: dict[str, str] = {
    "no JSON": "X-Api-Key: very-secret-value",
    "cut JSON": '{"X-Api-Key": "very-secret-value"',
    "a list": '["very-secret-value"]',
    "a text": '"very-secret-value"',
    "a number": "7",
    "null": "null",
    "a real line break in the JSON": '{"X-Api-Key": "very-secret-value\n"}',
    "a number as value": '{"X-Api-Key": 7}',
    "an object as value": '{"X-Api-Key": {"a": "very-secret-value"}}',
    "an empty name": '{"": "very-secret-value"}',
    "a name with a line break": '{"X-A\\r\\nX-B": "very-secret-value"}',
    "a name with a colon": '{"X-A:": "very-secret-value"}',
    "a name with a space": '{"X A": "very-secret-value"}',
    "a name twice": '{"X-Api-Key": "very-secret-value", "x-api-key": "b"}',
    "an overlong name": json.dumps({"X" * 101: SECRET}),
    "an overlong value": json.dumps({"X-A": "x" * 4097}),
    "too many": json.dumps({f"X-{number}": SECRET for number in range(21)}),
    "all too long": json.dumps({f"X-{number}": "x" * 4096 for number in range(5)}),
    "too deep": '{"X-A": ' + "[" * 2000,
    **{f"a value {value!r}": json.dumps({"X-Api-Key": value}) for value in SPLITS},
    **{
        f"the header {name}": json.dumps({name.title(): SECRET})
        for name in sorted(validation.FORBIDDEN_HEADERS)
    },
}
BAD_HOSTS = {
    "with a scheme": {"https://files.example.com": {"X-A": SECRET}},
    "with a path": {"files.example.com/": {"X-A": SECRET}},
    "with a user": {"me@files.example.com": {"X-A": SECRET}},
    "with a wildcard": {"*.example.com": {"X-A": SECRET}},
    "with port 0": {"files.example.com:0": {"X-A": SECRET}},
    "with port 70000": {"files.example.com:70000": {"X-A": SECRET}},
    "empty": {"": {"X-A": SECRET}},
    "with a line break": {"files.example.com\r\n": {"X-A": SECRET}},
    "headers without host": {"X-A": SECRET},
    "of too many": {f"{number}.example.com": {"X-A": "b"} for number in range(51)},
}


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(ConfigurationError) as caught:
        settings()
    return caught.value.public_message


@pytest.mark.parametrize("value", [value for value in BAD_HEADERS.values() if "\x00" not in value])
def test_invalid_headers_are_refused_without_showing_a_value(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    for name, set_to in (("WEBHOOK_HEADERS", value), ("SOURCE_HEADERS", f'{{"files.example.com": {value}}}')):
        said = refusal(monkeypatch, name, set_to)
        assert f"  {name}: " in said
        assert SECRET not in said


@pytest.mark.parametrize("value", BAD_HOSTS.values(), ids=BAD_HOSTS)
def test_invalid_hosts_are_refused(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    said = refusal(monkeypatch, "SOURCE_HEADERS", json.dumps(value))
    assert "  SOURCE_HEADERS: " in said
    assert SECRET not in said


def test_duplicate_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "twice" in refusal(monkeypatch, "SOURCE_HEADERS", '{"a.example": {}, "A.example": {}}')


def test_valid_headers_are_kept_and_are_secrets(configure: Configure) -> None:
    configure(
        WEBHOOK_HEADERS=json.dumps({"X-Api-Key": SECRET, "Authorization": "Bearer my-bearer-part"}),
        SOURCE_HEADERS=json.dumps({"Files.Example.com:8443": {"X-Key": 'my-source-key, with "quotes"'}}),
    )
    chosen = settings()
    assert dict(chosen.webhook_extra_headers) == {
        "X-Api-Key": SECRET,
        "Authorization": "Bearer my-bearer-part",
    }
    assert list(chosen.source_extra_headers) == ["files.example.com:8443"]
    assert {SECRET, "Bearer my-bearer-part", "my-bearer-part", 'my-source-key, with "quotes"'} <= set(
        chosen.secrets
    )
    assert SECRET not in repr(chosen)


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("files.example.com", 443, "any port"),
        ("files.example.com", 9, "any port"),
        ("cdn.example.com", 8443, "this port"),
        ("cdn.example.com", 443, None),
        ("both.example.com", 8443, "this port"),
        ("both.example.com", 80, "any port"),
        ("sub.files.example.com", 443, None),
        ("files.example.com.evil.example", 443, None),
        ("example.com", 443, None),
        ("::1", 80, "any port"),
        ("::1", 8443, "this port"),
        ("::2", 80, None),
    ],
)
def test_headers_are_only_for_the_named_host_and_port(host: str, port: int, expected: str | None) -> None:
    any_port, this_port = {"X-Key": "any port"}, {"X-Key": "this port"}
    said = {
        **dict.fromkeys(("files.example.com", "both.example.com", "[::1]"), any_port),
        **{f"{name}:8443": this_port for name in ("cdn.example.com", "both.example.com", "[::1]")},
    }
    found = validation.headers_for_host(validation.parse_host_headers(json.dumps(said)), host, port)
    assert found.get("X-Key") == expected
