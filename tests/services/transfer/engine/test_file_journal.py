"""What a file remembers of an unfinished upload, whatever a crash left of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from videovault.services.transfer.engine import (
    FileUploadJournal,
    MultipartUpload,
    SourceFingerprint,
    StoredPart,
)

pytestmark = pytest.mark.thorough

BEGUN = MultipartUpload("upload-1", SourceFingerprint(40, '"v1"', None), 10, "mp4")
PARTS = tuple(StoredPart(number, 10, f'"{number}"', number) for number in (2, 1, 3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "transfers" / "one.json"


def test_another_process_finds_the_upload_and_its_parts(file: Path) -> None:
    ledger = FileUploadJournal(file)
    ledger.begin(BEGUN)
    for part in PARTS:
        ledger.add(part)
    assert FileUploadJournal(file).load() == replace(BEGUN, parts=PARTS)


def test_parts_go_on_where_they_were_after_a_restart(file: Path) -> None:
    FileUploadJournal(file).begin(replace(BEGUN, parts=PARTS[:1]))
    again = FileUploadJournal(file)
    again.load()
    again.add(PARTS[1])
    assert FileUploadJournal(file).load() == replace(BEGUN, parts=PARTS[:2])


def test_a_line_that_was_cut_off_costs_that_part_only(file: Path) -> None:
    ledger = FileUploadJournal(file)
    ledger.begin(replace(BEGUN, parts=PARTS))
    file.write_bytes(file.read_bytes()[:-12])
    again = FileUploadJournal(file)
    assert again.load() == replace(BEGUN, parts=PARTS[:2])
    again.add(PARTS[2])
    assert FileUploadJournal(file).load() == replace(BEGUN, parts=PARTS)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}\n", '{"upload_id": 1}\n', "\n\n"])
def test_a_damaged_file_is_as_good_as_none(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    assert FileUploadJournal(file).load() is None


def test_what_is_cleared_is_gone_and_later_parts_are_not_remembered(file: Path) -> None:
    ledger = FileUploadJournal(file)
    ledger.begin(BEGUN)
    ledger.clear()
    ledger.add(PARTS[0])
    assert not file.exists()
    assert FileUploadJournal(file).load() is None
