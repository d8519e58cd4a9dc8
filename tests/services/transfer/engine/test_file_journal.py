"""The journal in a file: complete, truncated or damaged by a crash."""

from dataclasses import replace
from pathlib import Path

import pytest

from videovault.services.transfer.engine import (
    MultipartUpload,
    SourceFingerprint,
    StoredPart,
)
from videovault.services.transfer.standalone import FileUploadJournal

pytestmark = pytest.mark.thorough

BEGUN = MultipartUpload("upload-1", SourceFingerprint(40, '"v1"', None), 10, "mp4")
PARTS = tuple(StoredPart(number, 10, f'"{number}"', number) for number in (2, 1, 3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "transfers" / "one.json"


def test_another_process_finds_the_upload_and_its_parts(file: Path) -> None:
    journal = FileUploadJournal(file)
    journal.begin(BEGUN)
    for part in PARTS:
        journal.add(part)
    assert FileUploadJournal(file).load() == replace(BEGUN, parts=PARTS)


def test_parts_are_appended_after_a_restart(file: Path) -> None:
    FileUploadJournal(file).begin(replace(BEGUN, parts=PARTS[:1]))
    again = FileUploadJournal(file)
    again.load()
    again.add(PARTS[1])
    assert FileUploadJournal(file).load() == replace(BEGUN, parts=PARTS[:2])


def test_a_truncated_line_costs_only_that_part(file: Path) -> None:
    journal = FileUploadJournal(file)
    journal.begin(replace(BEGUN, parts=PARTS))
    file.write_bytes(file.read_bytes()[:-12])
    again = FileUploadJournal(file)
    assert again.load() == replace(BEGUN, parts=PARTS[:2])
    again.add(PARTS[2])
    assert FileUploadJournal(file).load() == replace(BEGUN, parts=PARTS)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}\n", '{"upload_id": 1}\n', "\n\n"])
def test_a_damaged_file_counts_as_missing(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    assert FileUploadJournal(file).load() is None


def test_a_cleared_journal_is_gone_and_ignores_later_parts(file: Path) -> None:
    journal = FileUploadJournal(file)
    journal.begin(BEGUN)
    journal.clear()
    journal.add(PARTS[0])
    assert not file.exists()
    assert FileUploadJournal(file).load() is None
