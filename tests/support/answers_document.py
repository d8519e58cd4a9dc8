"""docs/connect/answers.md shows what is read from answers: ``--write-answers`` writes it, otherwise it is compared."""

import pytest

from tests.support import documents
from tests.support.documents import ROOT

ANSWERS = ROOT / "docs" / "connect" / "answers.md"
WRITE = "--write-answers"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write into docs/connect/answers.md what is read")


def in_document(config: pytest.Config, name: str, seen: str) -> str:
    """What the document says of this, which is what was seen if that is to be written."""
    return documents.in_document(ANSWERS, name, seen, is_written=bool(config.getoption(WRITE)))
