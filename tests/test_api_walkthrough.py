"""The committed transcript of the API is current, except for what differs between runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.app import ROOT, running_app

pytestmark = pytest.mark.process

DOCUMENT = ROOT / "docs" / "api-walkthrough.md"
CHANGING = [
    (r'"crc32": "[0-9a-f]{8}"', '"CRC": "SUM"'),
    (r"video_\d+_[a-z0-9]{9}", "VIDEO"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\b[0-9a-f]{48}\b", "CODE"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\d+(\.\d+)?", "0"),
]


def shape(text: str) -> str:
    for pattern, name in CHANGING:
        text = re.sub(pattern, name, text)
    return text


def test_the_walkthrough_says_what_a_fresh_installation_answers(tmp_path: Path) -> None:
    written = tmp_path / "walkthrough.md"
    with running_app(tmp_path / "var", GENERATE_WAIT_SECONDS="120") as app:
        script = ROOT / "scripts" / "api_walkthrough.py"
        subprocess.run([sys.executable, str(script), app.url, str(written)], check=True)
    assert shape(DOCUMENT.read_text()) == shape(written.read_text())
