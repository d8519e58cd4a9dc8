"""A forged backup cannot name files outside its folder, and invalid content is refused."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.services.maintenance.backup.conftest import Elsewhere, restore
from tests.support.installation import Configure
from videovault.config import settings
from videovault.errors import InvalidInput
from videovault.services.maintenance.backup.backup_folder import Damaged
from videovault.services.maintenance.backup.save import verify_backup

pytestmark = pytest.mark.thorough

Json = dict[str, Any]


@pytest.fixture
def prepared(saved: Path, configure: Configure, installation: Path) -> Path:
    """A backup of one video, and an empty installation; returns the backup's folder."""
    configure(DATA_DIR=installation / "elsewhere")
    return saved


def forge(folder: Path, change: Callable[[Json], object]) -> None:
    """Change the manifest and its checksum."""
    content = json.loads((folder / "manifest.json").read_text())["manifest"]
    change(content)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    whole = {"manifest": content, "sha256": hashlib.sha256(canonical).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(whole))


def forge_file(folder: Path, kind: str, change: Callable[[Path], object]) -> None:
    """Change a listed file and its entry in the manifest."""
    path = next(folder.glob(f"{kind}-*"))
    change(path)
    content = path.read_bytes()
    fresh = {"name": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    forge(
        folder,
        lambda content: (content["database"]["file"] if kind == "database" else content[kind]).update(fresh),
    )


def forge_objects(folder: Path, column: str, value: object) -> None:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            update = f"UPDATE objects SET {column} = ? WHERE key LIKE '%.mp4'"  # noqa: S608 - names of ours
            connection.execute(update, (value,))
            connection.commit()

    forge_file(folder, "catalogue", change)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "database-20260101T000000000000Z.sqlite/../../../etc/passwd",
        "x\ndatabase-20260101T000000000000Z.sqlite",
        "database-20260101T000000000000Z.sqlite\n",
        "manifest.json",
    ],
)
@pytest.mark.parametrize("listed", ["database", "installation", "catalogue"])
def test_manifest_cannot_name_files_outside_the_folder(prepared: Path, listed: str, name: str) -> None:
    def change(content: Json) -> None:
        (content["database"]["file"] if listed == "database" else content[listed])["name"] = name

    forge(prepared, change)
    for command in (verify_backup, restore):
        with pytest.raises(Damaged, match="cannot be read"):
            command(prepared)
    assert not settings().data_dir.exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sha256", "../../../../etc/passwd"),
        ("sha256", "a" * 63 + "/"),
        ("sha256", 7),
        ("key", "../../outside.mp4"),
        ("key", "/outside.mp4"),
        ("key", "videos/../outside.mp4"),
        ("key", "videos/a\nb.mp4"),
        ("key", b"videos/a.mp4"),
        ("size", -1),
        ("size", "large"),
        ("crc32", 2**40),
        ("metadata", "[]"),
        ("metadata", "{"),
    ],
)
def test_catalogue_cannot_name_files_outside_the_folder(
    saved: Path, elsewhere: Elsewhere, column: str, value: object
) -> None:
    vault = elsewhere()
    forge_objects(saved, column, value)
    for command in (verify_backup, restore):
        with pytest.raises(Damaged, match="lists an invalid object"):
            command(saved)
    assert not list(vault.keys())
    assert not (settings().data_dir / "videovault.db").exists()


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, os.mkdir])
def test_links_pipes_and_folders_are_refused(prepared: Path, make: Callable[[Path], object]) -> None:
    for path in [*prepared.glob("objects/*/*"), *prepared.glob("*-*")]:
        path.unlink()
        make(path)
    for command in (verify_backup, restore):
        with pytest.raises(Damaged, match=r"cannot be read|not a regular file"):
            command(prepared)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b'{"manifest": {"format": 1}, "sha256": ""}',
        b'{"manifest": ' + b"[" * 20_000,
        b" " * 100_000,
    ],
)
def test_invalid_manifest_is_refused(prepared: Path, content: bytes) -> None:
    (prepared / "manifest.json").write_bytes(content)
    with pytest.raises(InvalidInput):
        restore(prepared)


def test_changed_manifest_is_refused(prepared: Path) -> None:
    path = prepared / "manifest.json"
    path.write_text(path.read_text().replace('"videos": 1', '"videos": 2'))
    with pytest.raises(Damaged, match="its checksum differs"):
        verify_backup(prepared)


def test_newer_format_is_refused(prepared: Path) -> None:
    forge(prepared, lambda content: content.update(format=2))
    with pytest.raises(InvalidInput, match="reads format 1"):
        restore(prepared)


def test_database_with_a_trigger_is_refused(prepared: Path) -> None:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER t AFTER INSERT ON sessions BEGIN UPDATE users SET is_admin = 1; END"
            )
            connection.commit()

    forge_file(prepared, "database", change)
    assert any("trigger" in each for each in verify_backup(prepared).findings.named)
    with pytest.raises(Damaged, match="trigger or view"):
        restore(prepared)
    assert not settings().data_dir.exists()


@pytest.mark.parametrize("kind", ["database", "installation", "catalogue"])
def test_truncated_file_is_refused(prepared: Path, kind: str) -> None:
    path = next(prepared.glob(f"{kind}-*"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged, match="is damaged"):
        restore(prepared)
    assert not settings().data_dir.exists()


def test_file_that_is_no_database_is_refused(prepared: Path) -> None:
    forge_file(prepared, "database", lambda path: path.write_bytes(b"no database" * 1000))
    with pytest.raises(Damaged, match="is damaged"):
        restore(prepared)


def test_key_file_of_another_installation_is_refused(prepared: Path) -> None:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"secret_key": "another"}))

    forge_file(prepared, "installation", change)
    findings = verify_backup(prepared).findings
    assert any("does not hold the key" in each for each in findings.named)
    with pytest.raises(InvalidInput, match="does not hold the key"):
        restore(prepared)


def test_key_that_opens_nothing_is_reported_despite_its_fingerprint(prepared: Path) -> None:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE videos SET sealed_key = 'moved'")
            connection.commit()

    forge_file(prepared, "catalogue", change)
    assert any(
        "cannot be opened with the SECRET_KEY" in each for each in verify_backup(prepared).findings.named
    )
