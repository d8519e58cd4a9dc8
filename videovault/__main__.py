"""The command line: run, worker, migrate, create-admin."""

import argparse
import getpass
import shutil
import signal
import sys
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from videovault import db, logs
from videovault.config import Settings, settings
from videovault.errors import ConfigurationError, VideoVaultError

LEAST_FREE_BYTES = 500 * 1024**2


def run() -> None:
    """Everything on one port."""
    from videovault.embedded import frontend, server

    # While it starts there is nothing to tidy up; Python's own way could be lost inside an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    chosen = settings()
    _check_disk(chosen)
    server.check_port(chosen.host, chosen.port)
    migrate()
    if not frontend.is_built():
        _say("Building the pages: about half a minute, only when they changed")
        frontend.build()
    server.serve(chosen)


def worker() -> None:
    """Generate and store videos, for this machine or for many."""
    from videovault import worker as process

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
    from videovault.services import accounts

    migrate()
    email = input("E-mail address: ")
    user = accounts.create_admin(email, getpass.getpass("Password: "))
    _say(f"{user.email} is an admin now.")


COMMANDS: dict[str, Callable[[], None]] = {
    "run": run,
    "worker": worker,
    "migrate": migrate,
    "create-admin": create_admin,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what goes wrong is a sentence on stderr and exit status 2."""
    parser = argparse.ArgumentParser(prog="videovault", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.__doc__)
    chosen = parser.parse_args(arguments)
    try:
        logs.configure(settings().log_format, settings().log_level)
        COMMANDS[chosen.command]()
    except VideoVaultError as error:
        _say(error.public_message)
        return 2
    except OSError as error:
        _say(f"VideoVault cannot go on: {error.strerror or error} ({error.filename or 'no file'}).")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _check_disk(chosen: Settings) -> None:
    """Refuse to start on a full disk, where everything would fail later and less plainly."""
    chosen.data_dir.mkdir(parents=True, exist_ok=True)
    _ = chosen.installation  # made now, so that an unwritable folder is told at once
    free = shutil.disk_usage(chosen.data_dir).free
    if chosen.uses_embedded_s3 and free < LEAST_FREE_BYTES:
        raise ConfigurationError(
            f"The disk is nearly full: {free // 1024**2} MB are free in {chosen.data_dir}, and the videos are "
            "kept there. Free some space, or set DATA_DIR to another disk."
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line


if __name__ == "__main__":
    sys.exit(main())
