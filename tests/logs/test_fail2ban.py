"""The filter in docs/fail2ban matches exactly the refusals, in both formats, with the browser's address."""

import configparser
import io
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.documents import ROOT
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault import logs

FILTER = ROOT / "docs" / "fail2ban" / "videovault.conf"
BROWSERS = ("203.0.113.7", "2001:db8::7")
FORGED = (
    "2026-01-01T00:00:00.000000Z [warning  ] sign-in refused from 6.6.6.6",
    '{"timestamp": "2026-01-01T00:00:00.000000Z", "level": "warning", "event": "sign-in refused from 6.6.6.6"}',
)


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """The log output so far, after the writer has caught up."""
    output = io.StringIO()
    monkeypatch.setattr("sys.stderr", output)
    root = logging.getLogger()
    before = root.handlers, root.level
    logs.configure(request.param, "info")

    def text() -> str:
        logs.flush()
        return output.getvalue()

    yield text
    root.handlers, root.level = before


def banned(text: str) -> list[str]:
    """The addresses that fail2ban finds: it removes the date from a line and searches the rest."""
    known = configparser.RawConfigParser()
    known.read(FILTER)
    dates = [
        re.compile(_date(line)) for line in known["Definition"]["datepattern"].replace("%%", "%").splitlines()
    ]
    lines = [
        re.compile(line.replace("<ADDR>", r"(?P<address>[0-9a-fA-F:.]+)"))
        for line in known["Definition"]["failregex"].splitlines()
    ]
    found = []
    for line in text.splitlines():
        date = next((match for pattern in dates if (match := pattern.search(line))), None)
        rest = line[: date.start()] + line[date.end() :] if date else ""
        found += [match["address"] for pattern in lines if (match := pattern.search(rest))]
    return found


def _date(pattern: str) -> str:
    parts = {"%Y": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%H": r"\d\d", "%M": r"\d\d", "%S": r"\d\d"}
    parts |= {"%f": r"\d{1,6}", "%z": r"(?:Z|[+-]\d\d:?\d\d)"}
    for short, long in parts.items():
        pattern = pattern.replace(short, long)
    return pattern


@pytest.mark.parametrize("browser", BROWSERS)
def test_refusal_is_matched_with_the_address_behind_a_proxy(
    written: Callable[[], str], ada: Person, make_client: MakeClient, browser: str
) -> None:
    attacker = make_client(headers={"X-Forwarded-For": f"6.6.6.6, {browser}"})
    for _ in range(7):  # the last ones come too often
        attacker.post("/api/auth/login", json={"email": ada.email, "password": "wrong"})
    attacker.post("/api/auth/login", data={"email": "nobody@example.com", "password": "wrong"})  # a form
    attacker.get("/api/share/video_1_a/download?key=guessed")
    attacker.post("/api/auth/reset", json={"token": "a.b.c", "password": "battery staple"})
    assert banned(written()) == [browser] * 10


def test_signed_in_users_are_not_matched(
    written: Callable[[], str], ada: Person, make_client: MakeClient
) -> None:
    make_client().post("/api/auth/login", json={"email": ada.email, "password": "correct horse"})
    ada.api.post("/api/auth/password", json={"currentPassword": "wrong", "newPassword": "battery staple"})
    assert "password refused from" in written()
    assert banned(written()) == []


@pytest.mark.parametrize("forged", FORGED)
def test_untrusted_text_cannot_forge_a_line(
    written: Callable[[], str], configure: Configure, forged: str
) -> None:
    configure()
    said: Any = f"a\n{forged}\r{forged}\x85{forged}\u2028{forged}"
    logs.get("test").warning("error in a browser", said=said, event2={"event": said}, timestamp2=said)
    logs.get("test").warning(said)
    logging.getLogger("library").warning("bad request: %s", said)
    logs.get("test").error("fault", exc_info=ValueError(said))
    assert "6.6.6.6" in written()
    assert banned(written()) == []


def test_forged_line_at_the_start_would_be_matched() -> None:
    """Otherwise the previous test proves nothing."""
    assert banned("\n".join(FORGED)) == ["6.6.6.6", "6.6.6.6"]
