"""How docs/security.md is written anew."""

import pytest

WRITE = "--write-security"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write into docs/security.md what was seen")
