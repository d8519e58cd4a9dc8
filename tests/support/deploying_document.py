"""docs/deploying.md shows what commands say: ``--write-deploying`` writes it, otherwise it is compared."""

import pytest

from tests.support import documents
from tests.support.documents import ROOT

DEPLOYING = ROOT / "docs" / "deploying.md"
WRITE = "--write-deploying"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write into docs/deploying.md what the commands say")


def in_document(config: pytest.Config, name: str, seen: str) -> str:
    """What the document says of this, which is what was seen if that is to be written."""
    return documents.in_document(DEPLOYING, name, seen, is_written=bool(config.getoption(WRITE)))
