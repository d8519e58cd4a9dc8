"""Keys and ports are generated once and readable by their owner only."""

import json
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from videovault import installation


def test_the_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    installation.load_or_create(tmp_path / "var")
    mode = (tmp_path / "var" / installation.FILE_NAME).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_second_start_finds_the_same_keys(tmp_path: Path) -> None:
    assert installation.load_or_create(tmp_path) == installation.load_or_create(tmp_path)


def test_concurrent_first_starts_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: installation.load_or_create(tmp_path), range(8)))
    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [installation.FILE_NAME]


def test_a_port_in_use_is_replaced_and_the_keys_stay(tmp_path: Path) -> None:
    before = installation.load_or_create(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", before.s3_port))
        taken.listen()
        after = installation.load_with_free_ports(tmp_path)
    assert after.s3_port != before.s3_port
    assert (after.secret_key, after.s3_access_key) == (before.secret_key, before.s3_access_key)
    assert installation.load_or_create(tmp_path) == after


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / installation.FILE_NAME).write_text('{"secret_key": "x"}')
    with pytest.raises(ValueError, match="missing"):
        installation.load_or_create(tmp_path)


def test_a_file_of_an_earlier_version_gets_its_missing_key_once(tmp_path: Path) -> None:
    before = asdict(installation.load_or_create(tmp_path))
    file = tmp_path / installation.FILE_NAME
    file.write_text(json.dumps({name: value for name, value in before.items() if name != "studio_key"}))
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: installation.load_or_create(tmp_path), range(8)))
    (complete,) = made
    assert complete.studio_key not in ("", before["studio_key"])
    assert asdict(complete) | {"studio_key": ""} == before | {"studio_key": ""}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert installation.load_or_create(tmp_path) == complete


def test_keys_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    before = installation.load_or_create(tmp_path)
    (tmp_path / installation.FILE_NAME).write_text(json.dumps({**asdict(before), "another_key": "x"}))
    assert installation.load_or_create(tmp_path) == before
