"""The command line: run, worker, migrate, create-admin, transfer, reseal, reconcile, backup, restore."""

import argparse
import getpass
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from videovault import config, db, installation, logs
from videovault.commands import start
from videovault.config import Settings, settings
from videovault.data_dir import UMASK
from videovault.errors import ConfigurationError, InvalidInput, SourceError, VideoVaultError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from videovault.services.transfer.engine import StoredObject

LEAST_FREE_BYTES = 500 * 1024**2


def run(arguments: argparse.Namespace) -> None:
    """Everything on one port."""
    from videovault.embedded import frontend, web_server
    from videovault.embedded import process as embedded_process
    from videovault.services.maintenance import startup_check

    embedded_process.raise_open_file_limit()
    # While it starts there is nothing to tidy up; Python's own way could be lost inside an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    chosen = settings()
    _check_disk(chosen)
    _check_restored(chosen)
    with web_server.port_reserved(chosen.data_dir, chosen.host, chosen.port):
        migrate()
        start.check_keys()
        if not arguments.new:
            startup_check.check_data_is_complete()
        db.refill_disk_reserve()
        if not frontend.is_built():
            _say("Building the pages: about half a minute, only when they changed")
            frontend.build()
        web_server.serve(chosen)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--new", action="store_true", help="start though only one of database and stored videos is there"
    )


def worker() -> None:
    """Generate and store videos, for this machine or for many."""
    from videovault import worker as process
    from videovault.embedded import process as embedded_process

    embedded_process.raise_open_file_limit()
    _check_restored(settings())
    start.check_keys()
    process.run()


def migrate() -> None:
    """Bring the database up to date."""
    try:
        db.migrate()
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigurationError(f"The database cannot be used: {reason}. Check DATABASE_URL.") from error


def create_admin() -> None:
    """Make an admin account, asking for its e-mail address and password."""
    from videovault.services.accounts import accounts

    migrate()
    start.check_keys()
    email = input("E-mail address: ")
    user = accounts.create_admin(email, getpass.getpass("Password: "))
    _say(f"{user.email} is an admin now.")


def transfer(chosen: argparse.Namespace) -> None:
    """Bring videos from addresses into the bucket; run it again to go on with what was interrupted."""
    from videovault.embedded import s3_for_commands
    from videovault.services.transfer import standalone

    if bool(chosen.url) == bool(chosen.list):
        raise InvalidInput("Give an address, or --list with a file of them.")
    wanted = standalone.parse_jobs(
        chosen.list.read_text() if chosen.list else f"{chosen.url} {chosen.key or ''}"
    )
    with s3_for_commands.s3_available():
        standalone.open_connections()
        failed = _transfer_all(wanted, chosen.at_once)
    if failed:
        raise SourceError(f"{failed} of {len(wanted)} were not transferred.")


def _transfer_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", nargs="?", metavar="URL", help="the address of a video")
    parser.add_argument(
        "key", nargs="?", metavar="KEY", help="the object's key; made from the address if left out"
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="many at once: a line `URL [KEY]` for each")
    parser.add_argument("--at-once", type=int, default=4, metavar="N", help="with --list: how many (4)")


def reconcile(chosen: argparse.Namespace) -> int:
    """Compare the bucket with the database; by default nothing is changed."""
    from videovault.commands import keys
    from videovault.commands import reconcile as command
    from videovault.embedded import s3_for_commands

    migrate()
    if chosen.rekey:
        if s3_for_commands.app_is_running():
            raise ConfigurationError("VideoVault is running with the present key. Stop it first.")
        return keys.rekey(confirmed=chosen.yes)
    start.check_keys()
    with s3_for_commands.s3_available():
        return command.run(repair=chosen.repair, rebuild=chosen.rebuild, as_json=chosen.json)


def reseal() -> int:
    """Seal all secret keys by today's SECRET_KEY, after it was changed."""
    from videovault.commands import keys as command

    migrate()
    return command.reseal()


def backup(chosen: argparse.Namespace) -> int:
    """Back up database, key file and objects into a folder, while everything runs; run again, it copies what is new."""
    from videovault.commands import backup as command
    from videovault.embedded import s3_for_commands

    if chosen.verify:
        return command.verify(chosen.folder)
    with s3_for_commands.s3_available():
        return command.save(chosen.folder)


def restore(chosen: argparse.Namespace) -> int:
    """Put a backup back into an empty installation; run again, it continues."""
    from videovault.commands import backup as command
    from videovault.embedded import s3_for_commands

    with s3_for_commands.exclusive_data_dir() as storage_running:
        return command.restore(chosen.folder, force=chosen.force, storage_running=storage_running)


def _backup_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of the backup, on another disk")
    parser.add_argument("--verify", action="store_true", help="read the backup and check all of it")


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of the backup")
    parser.add_argument("--force", action="store_true", help="also where an installation is: it is set aside")


def _reconcile_arguments(parser: argparse.ArgumentParser) -> None:
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--repair", action="store_true", help="mend what needs no judgement")
    change.add_argument("--rebuild", action="store_true", help="make rows for the videos that have none")
    change.add_argument(
        "--rekey",
        action="store_true",
        help="after SECRET_KEY was lost: new secret keys, which end share links",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--yes", action="store_true", help="with --rekey: do not ask")


def _transfer_all(wanted: Sequence[tuple[str, str]], at_once: int) -> int:
    """Transfer with progress bars on stderr; how many failed."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from videovault.services.transfer import standalone

    stop, failed = Event(), 0
    columns = (
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=Console(stderr=True))
    with bars, ThreadPoolExecutor(max(1, at_once)) as pool:
        under_way = {}
        for url, key in wanted:
            bar = bars.add_task(_as_it_is(standalone.display_name(url)), total=None)
            watch = standalone.ProgressControl(partial(_tell, bars, bar), stop)
            under_way[pool.submit(standalone.transfer_url, url, key, watch)] = (url, key)
        try:
            for done in as_completed(under_way):
                failed += not _told(bars.console, done, *under_way[done])
        except KeyboardInterrupt:
            stop.set()  # what S3 has so far is kept, and the next run goes on from there
            raise
    return failed


def _tell(bars: "Progress", bar: "TaskID", bytes_done: int, bytes_total: int | None) -> None:
    bars.update(bar, completed=bytes_done, total=bytes_total)


def _told(console: "Console", done: "Future[StoredObject]", url: str, key: str) -> bool:
    """Say what became of one; whether it was transferred."""
    from videovault.services.transfer import standalone

    try:
        stored = done.result()
    except VideoVaultError as error:
        console.print(_as_it_is(f"{standalone.display_name(url)}: {error.public_message}"))
        return False
    console.print(_as_it_is(f"{key}  {stored.size:,} bytes  crc32 {stored.crc32:08x}"), highlight=False)
    return True


def _as_it_is(text: str) -> str:
    """Brackets in names from outside are no markup, and what cannot be printed is left out."""
    from rich.markup import escape

    return escape("".join(char for char in text if char.isprintable()))


@dataclass(frozen=True)
class Command:
    """``arguments`` adds to the command's own parser what ``run`` then finds in its argument.

    ``run`` gives the exit status, if it is another than 0. What is ``detached`` from DATA_DIR neither needs nor makes it.
    """

    run: Callable[[argparse.Namespace], int | None]
    help: str
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None
    detached: Callable[[argparse.Namespace], bool] = lambda _chosen: False


def _plain(command: Callable[[], int | None]) -> Command:
    return Command(lambda _chosen: command(), command.__doc__ or "")


COMMANDS: dict[str, Command] = {
    "run": Command(run, run.__doc__ or "", _run_arguments),
    "worker": _plain(worker),
    "migrate": _plain(migrate),
    "create-admin": _plain(create_admin),
    "transfer": Command(transfer, transfer.__doc__ or "", _transfer_arguments),
    "reseal": _plain(reseal),
    "reconcile": Command(reconcile, reconcile.__doc__ or "", _reconcile_arguments),
    "backup": Command(backup, backup.__doc__ or "", _backup_arguments, lambda chosen: bool(chosen.verify)),
    "restore": Command(restore, restore.__doc__ or "", _restore_arguments),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what goes wrong is a sentence on stderr and exit status 2."""
    parser = argparse.ArgumentParser(prog="videovault", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.arguments(commands.add_parser(name, help=command.help, description=command.help))
    chosen = parser.parse_args(arguments)
    command = COMMANDS[chosen.command]
    try:
        permissions = None if command.detached(chosen) else start.prepare_data_dir(settings())
        logs.configure(settings().log_format, settings().log_level, config.secret_values(settings()))
        if permissions:
            start.report_permissions(permissions, settings().data_dir)
        return command.run(chosen) or 0
    except VideoVaultError as error:
        _say(error.public_message)
        return 2
    except OSError as error:
        _say(f"VideoVault cannot go on: {error.strerror or error} ({error.filename or 'no file'}).")
        return 2
    except KeyboardInterrupt:
        return 130


def _check_restored(chosen: Settings) -> None:
    if (chosen.data_dir / installation.RESTORE_MARKER).exists():
        raise ConfigurationError(
            f"A restore into {chosen.data_dir} was interrupted. Run `python -m videovault restore` again with the same "
            "folder: it continues."
        )


def _check_disk(chosen: Settings) -> None:
    """Refuse to start on a full disk, where everything would fail later and less plainly."""
    free = shutil.disk_usage(chosen.data_dir).free
    if chosen.uses_embedded_s3 and free < LEAST_FREE_BYTES:
        raise ConfigurationError(
            f"The disk is nearly full: {free // 1024**2} MB are free in {chosen.data_dir}, and the videos are "
            "kept there. Free some space, or set DATA_DIR to another disk."
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line


if __name__ == "__main__":
    os.umask(UMASK)  # for everything that it starts too
    sys.exit(main())
