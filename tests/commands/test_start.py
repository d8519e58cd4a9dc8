"""A process refuses to start on data of another key, user or installation, and changes nothing."""

import io
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.support.app import free_port
from tests.support.installation import Configure, forget
from tests.support.keys import ONE_KEY
from videovault import db, logs, security
from videovault.__main__ import main
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.embedded import web_server
from videovault.installation import UMASK
from videovault.models import InstallationFact, KeyCanary, Status
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.services.maintenance import identity, keys
from videovault.services.transfer import lease

NOBODY = 65534
WEAK = "changeme"
# Root without the rights that other users lack: to read, write and change files of other users.
POWERLESS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root makes files of two users"
)
Start = Callable[..., CompletedProcess[str]]


@pytest.fixture
def start(installation: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Start:
    """Run a command in this process with additional settings, since a new process takes a second."""
    del installation

    def run(*arguments: str, typed: str = "", **more: str) -> CompletedProcess[str]:
        interrupt = signal.getsignal(signal.SIGINT)  # `run` takes Python's own way away
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(typed))
            for name, value in ({"PORT": str(free_port())} | more).items():
                patch.setenv(name, value)
            forget()
            status = main(arguments)
        forget()
        signal.signal(signal.SIGINT, interrupt)
        logs.flush()
        said = capsys.readouterr()
        return CompletedProcess(arguments, status, said.out, said.err)

    return run


@pytest.fixture
def start_process(installation: Path) -> Start:
    """Run a command in a new process."""

    def run(*arguments: str, through: Sequence[str] = (), **more: str) -> CompletedProcess[str]:
        return subprocess.run(
            [*through, sys.executable, "-m", "videovault", *arguments],
            cwd=installation,
            env={**os.environ, "PORT": str(free_port()), **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def lose_key() -> None:
    (settings().data_dir / "installation.json").unlink()
    settings.cache_clear()


@pytest.mark.parametrize("command", [["run", "--new"], ["worker"], ["create-admin"], ["reconcile"]])
def test_every_command_refuses_a_missing_key(in_use: Path, start: Start, command: list[str]) -> None:
    lose_key()
    done = start(*command)
    assert done.returncode == 2
    assert "There is no secret key, but this database was used with one" in done.stderr
    assert all(word in done.stderr for word in ("SECRET_KEY_OLD", "installation.json", "reconcile --rekey"))
    assert not (in_use / "installation.json").exists()


@pytest.mark.usefixtures("in_use")
def test_other_key_is_refused(start: Start) -> None:
    done = start("run", SECRET_KEY=ONE_KEY)
    assert done.returncode == 2
    assert "not the one that this database was used with" in done.stderr
    own, used = (security.key_fingerprint(key)[:8] for key in (ONE_KEY, settings().installation.secret_key))
    assert (
        f"SECRET_KEY: the installation uses the key {used}, this process {own} (fingerprints)" in done.stderr
    )


@pytest.mark.usefixtures("in_use")
def test_rekey_needs_confirmation(start: Start) -> None:
    lose_key()
    refused = start("reconcile", "--rekey", typed="yes\n")
    assert refused.returncode == 1
    assert "All share links to these videos stop working" in refused.stdout
    assert "Nothing was changed." in refused.stdout
    assert keys.count_unopenable().replaced == 1


@pytest.mark.usefixtures("in_use")
def test_start_succeeds_after_rekey(start: Start) -> None:
    lose_key()
    done = start("reconcile", "--rekey", typed="rekey\n")
    assert (done.returncode, "1 videos have a new secret key" in done.stdout) == (0, True)
    settings.cache_clear()
    assert keys.count_unopenable().replaced == 0
    keys.verify_keys()


def test_guessable_key_is_refused_and_replaced_by_reseal(
    installation: Path, start: Start, configure: Configure
) -> None:
    """The way out for an installation whose SECRET_KEY the previous version accepted."""
    own = settings().installation.secret_key
    file = installation / "var" / "installation.json"
    file.write_text(file.read_text().replace(own, WEAK))
    configure()
    owner = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    with transaction() as session:
        session.add(lifecycle.new_video(owner.user_id, Status.READY, "Launch"))

    refused = start("worker", SECRET_KEY=WEAK)
    assert (refused.returncode, "SECRET_KEY: is easy to guess" in refused.stderr) == (2, True)
    assert WEAK not in refused.stderr
    still_there = start("worker", SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=WEAK)
    assert (still_there.returncode, "python -m videovault reseal" in still_there.stderr) == (2, True)
    assert start("reseal", SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=WEAK).returncode == 0
    configure(SECRET_KEY=ONE_KEY)
    keys.verify_keys()
    assert keys.count_unopenable().replaced == 0


def test_database_without_accounts_beside_stored_videos_is_refused(installation: Path, start: Start) -> None:
    film = installation / "var" / "s3" / "videovault" / "videos" / "u" / "v" / "film.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    done = start("run")
    assert done.returncode == 2
    assert "The database has no accounts, but the embedded S3" in done.stderr
    assert all(word in done.stderr for word in ("--rebuild", "restore", "run --new"))


@pytest.mark.usefixtures("in_use")
def test_rows_beside_an_empty_store_are_refused(start: Start) -> None:
    done = start("run")
    assert done.returncode == 2
    assert "The database lists 1 stored videos, but the embedded S3" in done.stderr
    assert "run --new" in done.stderr


@pytest.mark.usefixtures("in_use")
@pytest.mark.parametrize(
    "command", [["run"], ["worker"], ["create-admin"], ["reconcile"], ["backup", "backup"]]
)
def test_another_bucket_is_refused(start: Start, command: list[str]) -> None:
    identity.record(identity.Role.APP)
    done = start(*command, AWS_S3_BUCKET_NAME="others")
    assert done.returncode == 2
    assert "AWS_S3_BUCKET_NAME: the installation uses the embedded S3, this process others." in done.stderr
    assert "identity --accept" in done.stderr
    assert not Path("backup").exists()


@pytest.mark.usefixtures("installation")
def test_a_refused_worker_leaves_no_key_behind(start: Start) -> None:
    identity.record(identity.Role.APP)
    done = start("worker", AWS_S3_BUCKET_NAME="others", SECRET_KEY=ONE_KEY)
    assert "AWS_S3_BUCKET_NAME: the installation uses" in done.stderr
    with reading() as session:
        assert session.exec(select(KeyCanary)).all() == []


@pytest.mark.usefixtures("in_use")
def test_identity_shows_and_accepts_other_settings(start: Start) -> None:
    identity.record(identity.Role.APP)
    assert start("identity").returncode == 0
    assert start("identity", AWS_S3_BUCKET_NAME="others").returncode == 1
    kept = start("identity", "--accept", AWS_S3_BUCKET_NAME="others", typed="no\n")
    assert (kept.returncode, "Nothing was changed." in kept.stdout) == (1, True)
    done = start("identity", "--accept", AWS_S3_BUCKET_NAME="others", typed="accept\n")
    assert done.returncode == 0
    assert "AWS_S3_BUCKET_NAME: the embedded S3 -> others" in done.stdout
    assert start("reconcile").returncode == 2


@pytest.mark.usefixtures("in_use")
def test_settings_are_not_accepted_while_a_worker_runs(start: Start) -> None:
    identity.record(identity.Role.APP)
    lease.WorkerRegistration(1).beat()
    done = start("identity", "--accept", "--yes", AWS_S3_BUCKET_NAME="others")
    assert done.returncode == 2
    assert "1 workers are running with the present settings" in done.stderr


@pytest.mark.usefixtures("in_use")
@pytest.mark.parametrize("command", [["run"], ["worker"], ["migrate"], ["create-admin"]])
def test_tables_of_a_later_version_are_refused_by_its_name(start: Start, command: list[str]) -> None:
    with transaction() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.add(InstallationFact(name="version", value="9.8.7"))
    done = start(*command)
    assert done.returncode == 2
    assert "The database has the schema 9999 of a later version of VideoVault (9.8.7)." in done.stderr
    assert db.known_revisions()[0] in done.stderr


@pytest.mark.parametrize(("command", "migrate"), [("run", "off"), ("create-admin", "off"), ("worker", "on")])
def test_tables_of_an_earlier_version_are_waited_for(
    installation: Path, start: Start, command: str, migrate: str
) -> None:
    (installation / "var" / "videovault.db").unlink()
    done = start(command, MIGRATE=migrate, START_WAIT_SECONDS="0.1")
    assert done.returncode == 2
    assert "VideoVault has waited" in done.stderr
    needed = db.known_revisions()[0]
    assert f"The database has no tables, and this version of VideoVault needs {needed}" in done.stderr
    assert "python -m videovault migrate" in done.stderr
    assert db.schema_behind() == "none"


@pytest.mark.parametrize("command", ["run", "worker"])
def test_a_database_that_does_not_answer_is_waited_for(start: Start, command: str) -> None:
    away = "postgresql+psycopg://vault:hidden-word@127.0.0.1:1/vault"
    done = start(command, DATABASE_URL=away, START_WAIT_SECONDS="0.1")
    assert done.returncode == 2
    assert "The database cannot be used" in done.stderr
    assert "Check DATABASE_URL. VideoVault has waited" in done.stderr
    assert "hidden-word" not in done.stderr


def test_readable_files_are_made_private_and_logged_once(in_use: Path, start: Start) -> None:
    """As the previous version left them, with the system's umask except for installation.json."""
    (in_use / "s3" / "videovault").mkdir(parents=True)
    (in_use / "s3" / "videovault" / "film.mp4").write_bytes(b"film")
    (in_use / "app.log").write_text("a line\n")
    outside = in_use.parent / "outside"
    outside.write_text("not ours")
    (in_use / "link").symlink_to(outside)
    for path in [in_use, *in_use.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
    outside.chmod(0o644)
    with_wal = {path.name for path in in_use.iterdir()}
    assert {"videovault.db", "videovault.db-wal", "videovault.db-shm", "installation.json"} <= with_wal

    first, second = start("migrate"), start("migrate")

    assert "permissions corrected" in first.stderr
    assert "permissions corrected" not in second.stderr
    assert is_open(in_use) == []
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


@pytest.mark.process
def test_new_files_are_private(installation: Path, start_process: Start) -> None:
    folder = installation / "fresh" / "var"
    assert start_process("migrate", DATA_DIR=str(folder)).returncode == 0
    assert (folder / "videovault.db").exists()
    assert is_open(folder) == []


def is_open(folder: Path) -> list[Path]:
    """The files with permissions for group or others."""
    found = [folder, *folder.rglob("*")]
    return [path for path in found if not path.is_symlink() and path.stat().st_mode & UMASK]


@pytest.mark.process
@as_root
def test_data_dir_of_another_user_is_refused(in_use: Path, start_process: Start) -> None:
    for path in [in_use, *in_use.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    in_use.chmod(0o700)
    done = start_process("run", through=POWERLESS)
    assert done.returncode == 2
    assert f"{in_use} belongs to nobody and is not accessible to root" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.process
@as_root
def test_file_of_another_user_is_named(in_use: Path, start_process: Start) -> None:
    database = in_use / "videovault.db"
    os.chown(database, NOBODY, NOBODY)
    database.chmod(0o600)
    done = start_process("worker", through=POWERLESS)
    assert done.returncode == 2
    assert f"{database} belongs to nobody and is not accessible to root" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.process
@as_root
def test_uncorrectable_permissions_are_logged(installation: Path, start_process: Start) -> None:
    folder = installation / "volume"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    folder.chmod(0o777)  # as volumes of containers are
    done = start_process("migrate", through=POWERLESS, DATA_DIR=str(folder))
    assert done.returncode == 0
    assert "other users can read files that belong to another user" in done.stderr
    assert str(folder) in done.stderr


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs a folder that is read-only even for root")
def test_read_only_data_dir_is_refused(start: Start) -> None:
    done = start("run", DATA_DIR="/proc/sys")
    assert done.returncode == 2
    assert "DATA_DIR (/proc/sys) cannot be used" in done.stderr
    assert done.stderr.count("\n") == 1


def test_world_writable_folder_is_refused(installation: Path, start: Start) -> None:
    shared = installation / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    for folder in (Path("/"), shared):
        before = folder.stat().st_mode
        done = start("migrate", DATA_DIR=str(folder))
        assert (done.returncode, "is writable by all users" in done.stderr) == (2, True)
        assert folder.stat().st_mode == before


@pytest.mark.process
def test_concurrent_first_starts_succeed(installation: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(installation / "fresh")}
    command = [sys.executable, "-m", "videovault", "reconcile", "--rekey"]
    begun = [
        subprocess.Popen(
            command, cwd=installation, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    ends = [(process.communicate(timeout=120), process.returncode) for process in begun]
    assert [code for _, code in ends] == [0, 0, 0], ends


def test_second_start_on_the_same_port_is_refused(installation: Path, start: Start) -> None:
    """Before either listens, granian would let both listen."""
    port = free_port()
    (installation / "var").mkdir(exist_ok=True)
    with web_server.port_reserved(installation / "var", "127.0.0.1", port):
        done = start("run", PORT=str(port))
    assert done.returncode == 2
    assert (
        f"Port {port} on 127.0.0.1 cannot be used: another VideoVault is starting or running on it."
        in done.stderr
    )
