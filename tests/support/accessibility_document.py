"""The table in docs/accessibility.md: ``--write-accessibility`` writes it, otherwise tests compare with it."""

import pytest

from tests.support import documents
from tests.support.documents import ROOT

ACCESSIBILITY = ROOT / "docs" / "accessibility.md"
WRITE = "--write-accessibility"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write the results into docs/accessibility.md")


def in_document(config: pytest.Config, name: str, found: str) -> str:
    """This part of the document, after ``found`` has been written into it if the option is set."""
    return documents.in_document(ACCESSIBILITY, name, found, is_written=bool(config.getoption(WRITE)))
