"""docs/accessibility.md shows what axe has seen: ``--write-accessibility`` writes it, otherwise it is compared."""

import pytest

from tests.support import documents
from tests.support.documents import ROOT

ACCESSIBILITY = ROOT / "docs" / "accessibility.md"
WRITE = "--write-accessibility"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write into docs/accessibility.md what was seen")


def in_document(config: pytest.Config, name: str, seen: str) -> str:
    """What the document says of this, which is what was seen if that is to be written."""
    return documents.in_document(ACCESSIBILITY, name, seen, is_written=bool(config.getoption(WRITE)))
