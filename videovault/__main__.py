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

from videovault import db, installation, logs
from videovault.commands import start
from videovault.config import Settings, settings
from videovault.data_dir import UMASK
from videovault.errors import ConfigurationError, InvalidInput, SourceError, VideoVaultError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from videovault.services.transfer.engine import StoredObject

MIN_FREE_BYTES = 500 * 1024**2


def run(arguments: argparse.Namespace) -> None:
    """Everything on one port."""
    from videovault.embedded import frontend, web_server
    from videovault.embedded import process as embedded_process
    from videovault.services.maintenance import startup_check

    embedded_process.raise_open_file_limit()
    # Nothing needs cleaning up during the start, and KeyboardInterrupt could be swallowed inside an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    chosen = settings()
    _check_disk(chosen)
    _check_restore_finished(chosen)
    with web_server.port_reserved(chosen.data_dir, chosen.host, chosen.port):
        migrate()
        start.check_keys()
        if not arguments.new:
            startup_check.check_data_is_complete()
        db.refill_disk_reserve()
        if not frontend.is_built():
            _print_error("Building the pages (about half a minute, only after changes)")
            frontend.build()
        web_server.serve(chosen)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--new", action="store_true", help="start although the database or the stored videos are missing"
    )


def worker() -> None:
    """Generate and store videos, for this machine or for many."""
    from videovault import worker as process
    from videovault.embedded import process as embedded_process

    embedded_process.raise_open_file_limit()
    _check_restore_finished(settings())
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
    """Create an admin account; asks for its e-mail address and password."""
    from videovault.services.accounts import accounts

    migrate()
    start.check_keys()
    email = input("E-mail address: ")
    user = accounts.create_admin(email, getpass.getpass("Password: "))
    _print_error(f"{user.email} is now an admin.")


def transfer(options: argparse.Namespace) -> None:
    """Transfer videos from URLs into the bucket; a second run continues an interrupted one."""
    from videovault.embedded import s3_for_commands
    from videovault.services.transfer import standalone

    if bool(options.url) == bool(options.list):
        raise InvalidInput("Specify a URL, or --list with a file of URLs.")
    wanted = standalone.parse_jobs(
        options.list.read_text() if options.list else f"{options.url} {options.key or ''}"
    )
    with s3_for_commands.s3_available():
        standalone.open_connections()
        failed = _transfer_all(wanted, options.at_once)
    if failed:
        raise SourceError(f"{failed} of {len(wanted)} were not transferred.")


def _transfer_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", nargs="?", metavar="URL", help="the URL of a video")
    parser.add_argument(
        "key", nargs="?", metavar="KEY", help="the object's key; derived from the URL if omitted"
    )
    parser.add_argument(
        "--list", type=Path, metavar="FILE", help="a file with one line `URL [KEY]` per video"
    )
    parser.add_argument(
        "--at-once", type=int, default=4, metavar="N", help="with --list: how many in parallel (4)"
    )


def reconcile(options: argparse.Namespace) -> int:
    """Compare the bucket with the database; by default nothing is changed."""
    from videovault.commands import reconcile as command
    from videovault.commands import rekey
    from videovault.embedded import s3_for_commands

    migrate()
    if options.rekey:
        if s3_for_commands.app_is_running():
            raise ConfigurationError("VideoVault is running with the present key. Stop it first.")
        return rekey.rekey(confirmed=options.yes)
    start.check_keys()
    with s3_for_commands.s3_available():
        return command.run(repair=options.repair, rebuild=options.rebuild, as_json=options.json)


def reseal() -> int:
    """Reseal all secret keys with the current SECRET_KEY after it was changed."""
    from videovault.commands import rekey as command

    migrate()
    return command.reseal()


def backup(options: argparse.Namespace) -> int:
    """Back up database, key file and objects into a folder while everything runs; later runs copy only new objects."""
    from videovault.commands import backup as command
    from videovault.embedded import s3_for_commands

    if options.verify:
        return command.verify(options.folder)
    with s3_for_commands.s3_available():
        return command.save(options.folder)


def restore(options: argparse.Namespace) -> int:
    """Restore a backup into an empty installation; a second run continues an interrupted one."""
    from videovault.commands import backup as command
    from videovault.embedded import s3_for_commands

    with s3_for_commands.exclusive_data_dir() as storage_running:
        return command.restore(options.folder, force=options.force, storage_running=storage_running)


def _backup_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of the backup, on another disk")
    parser.add_argument("--verify", action="store_true", help="read and check the whole backup")


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of the backup")
    parser.add_argument("--force", action="store_true", help="set an existing installation aside")


def _reconcile_arguments(parser: argparse.ArgumentParser) -> None:
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--repair", action="store_true", help="repair what needs no human judgement")
    change.add_argument("--rebuild", action="store_true", help="create the missing rows of stored videos")
    change.add_argument(
        "--rekey",
        action="store_true",
        help="after SECRET_KEY was lost: new secret keys, which ends share links",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--yes", action="store_true", help="with --rekey: skip the confirmation")


def _transfer_all(wanted: Sequence[tuple[str, str]], at_once: int) -> int:
    """Transfer with progress bars on stderr; returns the number of failures."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from videovault.commands.output import printable
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
        running = {}
        for url, key in wanted:
            bar = bars.add_task(escape(printable(standalone.display_name(url))), total=None)
            watch = standalone.ProgressControl(partial(_update_bar, bars, bar), stop)
            running[pool.submit(standalone.transfer_url, url, key, watch)] = (url, key)
        try:
            for done in as_completed(running):
                failed += not _print_result(bars.console, done, *running[done])
        except KeyboardInterrupt:
            stop.set()  # uploaded parts are kept, and the next run continues
            raise
    return failed


def _update_bar(bars: "Progress", bar: "TaskID", bytes_done: int, bytes_total: int | None) -> None:
    bars.update(bar, completed=bytes_done, total=bytes_total)


def _print_result(console: "Console", done: "Future[StoredObject]", url: str, key: str) -> bool:
    """Print the result of one transfer; returns whether it succeeded."""
    from videovault.commands.output import plain
    from videovault.services.transfer import standalone

    try:
        stored = done.result()
    except VideoVaultError as error:
        console.print(plain(f"{standalone.display_name(url)}: {error.public_message}"))
        return False
    console.print(plain(f"{key}  {stored.size:,} bytes  crc32 {stored.crc32:08x}"), highlight=False)
    return True


@dataclass(frozen=True)
class Command:
    """``arguments`` adds the command's arguments to its parser; ``run`` returns the exit status, or None for 0.

    A ``detached`` command neither needs nor creates DATA_DIR.
    """

    run: Callable[[argparse.Namespace], int | None]
    help: str
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None
    detached: Callable[[argparse.Namespace], bool] = lambda _chosen: False


def _without_arguments(command: Callable[[], int | None]) -> Command:
    return Command(lambda _chosen: command(), command.__doc__ or "")


COMMANDS: dict[str, Command] = {
    "run": Command(run, run.__doc__ or "", _run_arguments),
    "worker": _without_arguments(worker),
    "migrate": _without_arguments(migrate),
    "create-admin": _without_arguments(create_admin),
    "transfer": Command(transfer, transfer.__doc__ or "", _transfer_arguments),
    "reseal": _without_arguments(reseal),
    "reconcile": Command(reconcile, reconcile.__doc__ or "", _reconcile_arguments),
    "backup": Command(backup, backup.__doc__ or "", _backup_arguments, lambda options: bool(options.verify)),
    "restore": Command(restore, restore.__doc__ or "", _restore_arguments),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are printed on stderr with exit status 2."""
    parser = argparse.ArgumentParser(prog="videovault", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.arguments(commands.add_parser(name, help=command.help, description=command.help))
    options = parser.parse_args(arguments)
    command = COMMANDS[options.command]
    try:
        permissions = None if command.detached(options) else start.prepare_data_dir(settings())
        logs.configure(settings().log_format, settings().log_level, settings().secrets)
        if permissions:
            start.report_permissions(permissions, settings().data_dir)
        return command.run(options) or 0
    except VideoVaultError as error:
        _print_error(error.public_message)
        return 2
    except OSError as error:
        _print_error(
            f"VideoVault cannot continue: {error.strerror or error} ({error.filename or 'no file'})."
        )
        return 2
    except KeyboardInterrupt:
        return 130


def _check_restore_finished(chosen: Settings) -> None:
    if (chosen.data_dir / installation.RESTORE_MARKER).exists():
        raise ConfigurationError(
            f"A restore into {chosen.data_dir} was interrupted. Run `python -m videovault restore` again with the same "
            "folder to continue."
        )


def _check_disk(chosen: Settings) -> None:
    """Refuse to start on a full disk, since later errors would be less clear."""
    free = shutil.disk_usage(chosen.data_dir).free
    if chosen.uses_embedded_s3 and free < MIN_FREE_BYTES:
        raise ConfigurationError(
            f"The disk is nearly full: {free // 1024**2} MB are free in {chosen.data_dir}, and the videos are "
            "stored there. Free some space, or set DATA_DIR to another disk."
        )


def _print_error(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line


if __name__ == "__main__":
    os.umask(UMASK)  # for everything that it starts too
    sys.exit(main())
