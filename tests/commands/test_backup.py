"""`python -m videovault backup` and `restore` with the embedded S3, which is started for the command."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault import db
from videovault.__main__ import main
from videovault.config import settings
from videovault.embedded import s3, supervisor
from videovault.gateways import storage
from videovault.installation import RESTORE_MARKER
from videovault.services.accounts import accounts
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery

pytestmark = pytest.mark.process

MIB = 1024**2
LARGE_MIB = 96
# Prints its peak memory in MiB last.
MEASURED = """
import sys
from pathlib import Path
from videovault.__main__ import main
assert main(sys.argv[1:]) == 0
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


@pytest.fixture
def folder(installation: Path) -> Path:
    return installation / "backup"


@pytest.fixture
def stored(installation: Path, generator: Generator) -> str:
    """The key of a video in the embedded S3."""
    del installation
    anna = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    with supervisor.s3_available():
        view = gallery.store_link(
            anna, generator.video_url, anna.email, "[red]Launch", enqueue=lambda _: None
        )
        pipeline.produce(view.video_id, stopping=lambda: False)
        return next(key for key in storage.connected().keys() if key.endswith(".mp4"))  # noqa: SIM118 - not a dict


def test_output_from_backup_to_restore(
    stored: str,
    folder: Path,
    installation: Path,
    mp4: bytes,
    configure: Configure,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["backup", str(folder)]) == 0
    output = capsys.readouterr().out
    assert "1 stored videos; 3 objects of" in output
    assert "The backup holds the secret key of the installation" in output
    assert main(["backup", str(folder)]) == 0
    assert "of which 0 of 0" in capsys.readouterr().out
    configure(DATA_DIR=installation / "new")
    assert main(["backup", "--verify", str(folder)]) == 0
    assert "every stored video has its object" in capsys.readouterr().out
    assert not (installation / "new").exists()

    assert main(["restore", str(folder)]) == 0
    output = capsys.readouterr().out
    for text in ("Objects: 3 of", "Everyone has to sign in again", "reconcile"):
        assert text in output
    kept = s3.bucket_folder(installation / "new") / stored
    assert kept.read_bytes() == mp4
    assert kept.stat().st_mode & 0o077 == 0
    assert main(["reconcile"]) == 0
    assert "Bucket and database agree." in capsys.readouterr().out
    assert main(["restore", str(folder)]) == 2
    assert "There is an installation already" in capsys.readouterr().err


@pytest.mark.usefixtures("stored")
def test_missing_objects_are_named_and_exit_with_1(
    folder: Path, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (s3.bucket_folder(settings().data_dir) / stored).unlink()
    assert main(["backup", str(folder)]) == 1
    assert "([red]Launch): its object" in capsys.readouterr().out
    assert main(["backup", "--verify", str(folder)]) == 1
    assert "([red]Launch): its object" in capsys.readouterr().out


def test_restore_refuses_a_running_app(
    folder: Path, installation: Path, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(DATA_DIR=installation / "new")
    (installation / "new").mkdir()
    with (installation / "new" / "embedded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["restore", str(folder)]) == 2
    assert "is running with this DATA_DIR" in capsys.readouterr().err
    assert [path.name for path in (installation / "new").iterdir()] == ["embedded.lock"]


@pytest.mark.parametrize("command", ["run", "worker"])
def test_nothing_starts_after_an_interrupted_restore(
    installation: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (installation / "var" / RESTORE_MARKER).touch()
    assert main([command]) == 2
    assert "was interrupted. Run `python -m videovault restore` again" in capsys.readouterr().err


@pytest.mark.usefixtures("stored")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_object_size(
    folder: Path, installation: Path, configure: Configure
) -> None:
    needed = [measured("backup", folder)]
    with (s3.bucket_folder(settings().data_dir) / "large.mp4").open("wb") as large:
        large.truncate(LARGE_MIB * MIB)
    needed.append(measured("backup", folder))
    needed.append(measured("backup", "--verify", folder))
    configure(DATA_DIR=installation / "new")
    needed.append(measured("restore", folder))
    assert (s3.bucket_folder(installation / "new") / "large.mp4").stat().st_size == LARGE_MIB * MIB
    assert max(needed) < needed[0] + LARGE_MIB * 3 // 5, (
        needed
    )  # MiB; a restore holds parts of 9 MiB for three objects


def measured(*arguments: object) -> int:
    """The command's peak memory in MiB."""
    db.engine().dispose()
    command = [sys.executable, "-c", MEASURED, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout.split()[-1])
