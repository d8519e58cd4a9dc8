"""No text from outside makes a regular expression take more than linear time."""

import re

import pytest

from tests.costs import regex_uses
from tests.costs.regex_cost import Mode, fault

pytestmark = pytest.mark.thorough

# Those that see no text from outside, each with the reason. Everything else has to be linear.
OURS_ALONE = {
    "videovault.embedded.frontend:INLINE_SCRIPT": "the pages that this product has built itself",
    "videovault.components.text:PLACE": "sentences of this product, when its pages are built",
}


def test_an_expression_that_sees_outside_text_takes_linear_time() -> None:
    outside = [use for use in regex_uses.uses() if use.place not in OURS_ALONE]
    found = {
        f"{use.place}, {mode}": reason
        for use in outside
        for mode in use.modes
        if (reason := fault(use.pattern, mode))
    }
    assert found == {}


def test_only_expressions_that_exist_are_said_to_see_no_outside_text() -> None:
    assert {use.place for use in regex_uses.uses()} >= OURS_ALONE.keys()


def test_every_compiled_expression_of_the_product_is_looked_at() -> None:
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
def test_the_method_finds_expressions_that_are_known_to_be_slow(text: str, mode: Mode) -> None:
    assert fault(re.compile(text, re.IGNORECASE), mode)


@pytest.mark.parametrize(("text", "mode"), QUICK)
def test_the_method_lets_expressions_pass_that_are_known_to_be_quick(text: str, mode: Mode) -> None:
    assert fault(re.compile(text), mode) is None
