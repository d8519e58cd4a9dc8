"""No regular expression takes more than linear time on untrusted text."""

import re

import pytest

from tests.costs import regex_uses
from tests.costs.regex_cost import Mode, fault

pytestmark = pytest.mark.thorough

# Expressions that see no untrusted text, each with the reason. All others must be linear.
TRUSTED = {
    "videovault.embedded.frontend:INLINE_SCRIPT": "the pages that this product has built itself",
    "videovault.embedded.frontend:IMPORT": "the product's own source, in the front-end build",
    "videovault.components.elements:PLACEHOLDER": "sentences of this product, when its pages are built",
}


def test_regular_expressions_on_untrusted_text_take_linear_time() -> None:
    untrusted = [use for use in regex_uses.uses() if use.place not in TRUSTED]
    found = {
        f"{use.place}, {mode}": reason
        for use in untrusted
        for mode in use.modes
        if (reason := fault(use.pattern, mode))
    }
    assert found == {}


def test_exceptions_name_existing_regular_expressions() -> None:
    assert {use.place for use in regex_uses.uses()} >= TRUSTED.keys()


def test_every_compiled_regular_expression_is_checked() -> None:
    sources = "\n".join(file.read_text() for file in regex_uses.ROOT.rglob("*.py"))
    assert len(
        re.findall(r"\bre\.(?:compile|match|fullmatch|search|subn?|split|findall|finditer)\(", sources)
    ) == len(regex_uses.uses())


SLOW: list[tuple[str, Mode]] = [
    # The three of the log's redaction on f02139c, by which 60 KB froze the site for eleven seconds.
    (r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@", "search"),
    (r"(\bhttps?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", "search"),
    (r"(\bX-Amz-[A-Za-z-]+=)[^\s&\"'<>]+", "search"),
    (r"(a+)+b", "match"),
    (r"(?:(a)b|ab)*c", "match"),
    (r"a*a*b", "fullmatch"),
    (r"\s+$", "search"),
    (r"<a[^>]*>(.*)</a>", "search"),
]
QUICK: list[tuple[str, Mode]] = [
    (r"a*b", "match"),
    (r"(?<![a-z])[a-z]+\.", "search"),
    (r"(?:[^\"\\]|\\.)*", "search"),
    (r"[^;]+(?:;[^;]+)*", "fullmatch"),
    (r"(?=.*x)[a-z]{1,64}", "fullmatch"),
]


@pytest.mark.parametrize(("text", "mode"), SLOW)
def test_the_method_finds_known_slow_regular_expressions(text: str, mode: Mode) -> None:
    assert fault(re.compile(text, re.IGNORECASE), mode)


@pytest.mark.parametrize(("text", "mode"), QUICK)
def test_the_method_accepts_known_fast_regular_expressions(text: str, mode: Mode) -> None:
    assert fault(re.compile(text), mode) is None
