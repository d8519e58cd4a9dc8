"""docs/security.md shows what tests have seen: ``--write-security`` writes it, otherwise it is compared."""

import pytest

from tests.support import documents
from tests.support.documents import ROOT

SECURITY = ROOT / "docs" / "security.md"
WRITE = "--write-security"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write into docs/security.md what was seen")


def in_document(config: pytest.Config, name: str, seen: str) -> str:
    """What the document says of this, which is what was seen if that is to be written."""
    return documents.in_document(SECURITY, name, seen, is_written=bool(config.getoption(WRITE)))
