"""The command line: run, web, worker, migrate, build, doctor, bucket, create-admin, transfer, reseal, reconcile, identity, backup, restore.

Each command imports what it needs when it runs: all of it together takes seconds.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from videovault.errors import ConfigurationError, InvalidInput, SourceError, VideoVaultError
from videovault.installation import UMASK

MAX_CONCURRENCY = 64  # as of WORKERS


def run(arguments: argparse.Namespace) -> None:
    """Everything on one port."""
    # Nothing needs cleaning up during the start, and KeyboardInterrupt could be swallowed inside an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from videovault import db
    from videovault.commands import preconditions, start
    from videovault.config import settings
    from videovault.embedded import frontend, web_server
    from videovault.embedded.processes import raise_open_file_limit
    from videovault.services.maintenance import identity, startup_check

    raise_open_file_limit()
    chosen = settings()
    preconditions.check_disk(chosen)
    preconditions.check_restore_finished(chosen)
    with web_server.port_reserved(chosen.data_dir, chosen.host, chosen.port) as port_lock:
        start.prepare_database()
        start.check_keys()
        identity.check(identity.Role.APP)
        if not arguments.new:
            startup_check.check_data_is_complete()
        identity.record(identity.Role.APP)
        frontend.keep_pages(chosen.data_dir)  # before a build, which deletes them
        if not frontend.is_built():
            _print_error("Building the pages (about half a minute, only after changes)")
            frontend.build()
            frontend.keep_pages(chosen.data_dir)
        db.engine().dispose()
        web_server.serve(chosen, port_lock)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--new", action="store_true", help="start although the database or the stored videos are missing"
    )


def web(_options: argparse.Namespace) -> None:
    """Pages and API only; workers run elsewhere (see `worker`)."""
    from videovault.commands import preconditions
    from videovault.config import settings

    preconditions.check_shared_parts(settings())
    run(argparse.Namespace(new=False))


def worker(_options: argparse.Namespace) -> None:
    """Generate and store videos, for this machine or for many."""
    from videovault import worker as process
    from videovault.commands import preconditions, start
    from videovault.config import settings
    from videovault.embedded.processes import raise_open_file_limit

    raise_open_file_limit()
    process.start_heartbeats()
    preconditions.check_restore_finished(settings())
    start.wait_for_schema()
    start.join_as_worker()
    process.run()


def _worker_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--concurrency", type=_concurrency, metavar="N", help="transfers at once, 1 to 64; WORKERS if omitted"
    )


def _concurrency(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= MAX_CONCURRENCY:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_CONCURRENCY}")


def migrate() -> None:
    """Bring the database up to date."""
    from videovault.commands import start

    start.migrate()


def build(_options: argparse.Namespace) -> None:
    """Build the pages if they are not built yet; `run` and `web` do so at their first start."""
    from videovault.embedded import frontend

    frontend.build()


def create_admin() -> None:
    """Create an admin account; asks for its e-mail address and password."""
    import getpass

    from videovault.commands import start
    from videovault.services.accounts import accounts
    from videovault.services.maintenance import identity

    start.prepare_database()
    start.check_keys()
    identity.check(identity.Role.COMMAND)
    email = input("E-mail address: ")
    user = accounts.create_admin(email, getpass.getpass("Password: "))
    _print_error(f"{user.email} is now an admin.")


def transfer(options: argparse.Namespace) -> None:
    """Transfer videos from URLs into the bucket; a second run continues an interrupted one."""
    from videovault.commands.transfer import transfer_all
    from videovault.embedded import supervisor
    from videovault.services.transfer import standalone

    if bool(options.url) == bool(options.list):
        raise InvalidInput("Specify a URL, or --list with a file of URLs.")
    wanted = standalone.parse_jobs(
        options.list.read_text() if options.list else f"{options.url} {options.key or ''}"
    )
    with supervisor.s3_available():
        standalone.open_connections()
        failed = transfer_all(wanted, options.at_once)
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
    from videovault.commands import identity as keys
    from videovault.commands import reconcile as command
    from videovault.commands import start
    from videovault.embedded import supervisor
    from videovault.services.maintenance import identity

    start.prepare_database()
    if options.rekey:
        if supervisor.app_is_running():
            raise ConfigurationError("VideoVault is running with the present key. Stop it first.")
        return keys.rekey(confirmed=options.yes)
    start.check_keys()
    identity.check(identity.Role.COMMAND)
    with supervisor.s3_available():
        return command.run(repair=options.repair, rebuild=options.rebuild, as_json=options.json)


def bucket(options: argparse.Namespace) -> int:
    """Check the bucket's own settings against what VideoVault needs (check), print them (show), or add what is missing (setup)."""
    from videovault.commands import bucket as command

    match options.action:
        case "setup":
            return command.setup(dry_run=options.dry_run)
        case "show":
            return command.show()
        case _:
            return command.check()


def _bucket_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("setup", "show", "check"), help="only setup changes anything")
    parser.add_argument("--dry-run", action="store_true", help="with setup: print the changes only")


def doctor(options: argparse.Namespace) -> int:
    """Check everything that this installation depends on, and print what is wrong and how to repair it.

    The exit status is 0 if all is well, 1 with warnings only, 2 if something is broken.
    """
    from videovault import logs
    from videovault.commands import doctor as command
    from videovault.config import settings
    from videovault.embedded import frontend, supervisor

    with suppress(ConfigurationError):  # invalid settings are in the report
        logs.configure(settings().log_format, "error", settings().secrets)
    return command.run(
        supervisor.app_is_running, frontend.start_page, shared=options.shared, as_json=options.json
    )


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--shared", action="store_true", help="check also what several machines have to share"
    )


def reseal() -> int:
    """Reseal all secret keys with the current SECRET_KEY after it was changed."""
    from videovault.commands import identity, start

    start.prepare_database()
    return identity.reseal()


def identity(options: argparse.Namespace) -> int:
    """Compare the settings of this machine with those of the installation, or make them the installation's."""
    from videovault.commands import identity as command
    from videovault.commands import start
    from videovault.embedded import supervisor

    start.prepare_database()
    start.check_keys()
    if not options.accept:
        return command.show()
    if supervisor.app_is_running():
        raise ConfigurationError("VideoVault is running with the present settings. Stop it first.")
    return command.accept(confirmed=options.yes)


def _identity_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept", action="store_true", help="after bucket, endpoint or queue were changed on purpose"
    )
    parser.add_argument("--yes", action="store_true", help="with --accept: skip the confirmation")


def backup(options: argparse.Namespace) -> int:
    """Back up database, key file and objects into a folder while everything runs; later runs copy only new objects."""
    from videovault.commands import backup as command
    from videovault.embedded import supervisor

    if options.verify:
        return command.verify(options.folder)
    command.check_installation()
    with supervisor.s3_available():
        return command.save(options.folder)


def restore(options: argparse.Namespace) -> int:
    """Restore a backup into an empty installation; a second run continues an interrupted one."""
    from videovault.commands import backup as command
    from videovault.embedded import supervisor

    with supervisor.exclusive_data_dir() as storage_running:
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


@dataclass(frozen=True)
class Command:
    """``arguments`` adds the command's arguments to its parser; ``run`` returns the exit status, or None for 0.

    A ``detached`` command neither needs nor creates DATA_DIR. ``settings`` are environment variables that its options
    stand for. A command that ``reports_settings`` runs with invalid ones, too.
    """

    run: Callable[[argparse.Namespace], int | None]
    help: str
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None
    detached: Callable[[argparse.Namespace], bool] = lambda _chosen: False
    settings: Callable[[argparse.Namespace], dict[str, str]] = lambda _chosen: {}
    reports_settings: bool = False


def _without_arguments(command: Callable[[], int | None]) -> Command:
    return Command(lambda _chosen: command(), command.__doc__ or "")


COMMANDS: dict[str, Command] = {
    "run": Command(run, run.__doc__ or "", _run_arguments),
    "web": Command(web, web.__doc__ or "", settings=lambda _options: {"WORKERS": "0"}),
    "worker": Command(
        worker,
        worker.__doc__ or "",
        _worker_arguments,
        settings=lambda options: {"WORKERS": str(options.concurrency)} if options.concurrency else {},
    ),
    "migrate": _without_arguments(migrate),
    "build": Command(build, build.__doc__ or "", detached=lambda _options: True),
    "create-admin": _without_arguments(create_admin),
    "transfer": Command(transfer, transfer.__doc__ or "", _transfer_arguments),
    "bucket": Command(bucket, bucket.__doc__ or "", _bucket_arguments, lambda _options: True),
    "doctor": Command(
        doctor, doctor.__doc__ or "", _doctor_arguments, lambda _options: True, reports_settings=True
    ),
    "reseal": _without_arguments(reseal),
    "reconcile": Command(reconcile, reconcile.__doc__ or "", _reconcile_arguments),
    "identity": Command(identity, identity.__doc__ or "", _identity_arguments),
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
        from videovault import logs
        from videovault.commands import preconditions
        from videovault.config import settings

        os.environ.update(command.settings(options))
        if command.reports_settings:
            return command.run(options) or 0
        permissions = None if command.detached(options) else preconditions.prepare_data_dir(settings())
        logs.configure(settings().log_format, settings().log_level, settings().secrets)
        if permissions:
            preconditions.report_permissions(permissions, settings().data_dir)
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


def _print_error(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line


if __name__ == "__main__":
    os.umask(UMASK)  # for everything that it starts too
    sys.exit(main())
