"""DATA_DIR is private to one user, and processes that start take turns in preparing it."""

import fcntl
import os
import pwd
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

UMASK = 0o077
PRIVATE_FOLDER = 0o700
LOCK_SECONDS = 60.0
POLL_SECONDS = 0.05


@dataclass
class Permissions:
    """How many files and folders were accessible to other users, and those whose mode could not be corrected."""

    corrected: int = 0
    not_corrected: list[Path] = field(default_factory=list)


@contextmanager
def directory_lock(folder: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Lock ``folder``, created if missing, against other processes. Not reentrant.

    Raises TimeoutError, and OSError if the folder cannot be created or opened.
    """
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor, folder, seconds)
        yield
    finally:
        os.close(descriptor)


def make_private(folder: Path, others: Iterable[Path] = ()) -> Permissions:
    """Remove all permissions of group and others from ``folder``, its contents, and the files ``others``.

    If ``folder`` and its direct entries were private already, deeper levels are unreachable for others and are
    skipped: there may be many objects. Symbolic links are not followed, since their targets may not be ours. Raises
    OSError if ``folder`` cannot be read.
    """
    done = Permissions()
    _close(str(folder), folder.stat(), done)  # first: afterwards no other user can swap the contents
    unread = _close_all_in(str(folder), done)
    if not (done.corrected or done.not_corrected):
        unread.clear()
    while unread:
        path = unread.pop()
        if os.access(path, os.R_OK | os.X_OK):
            unread += _close_all_in(path, done)
    for other in others:
        with suppress(FileNotFoundError):
            _close(str(other), other.stat(), done)
    return done


def is_shared(folder: Path) -> bool:
    """Whether it is the root folder, or one like /tmp in which every user has files."""
    return folder.resolve() == Path("/") or bool(folder.stat().st_mode & stat.S_ISVTX)


def first_inaccessible(folder: Path, names: Iterable[str]) -> Path | None:
    """The folder itself or the first of ``names`` in it that this process cannot read and write."""
    for path in (folder, *(folder / name for name in names)):
        needed = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
        if path.exists() and not os.access(path, needed):
            return path
    return None


def owner_name(path: Path) -> str:
    return user_name(path.stat().st_uid)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _close_all_in(folder: str, done: Permissions) -> list[str]:
    """Make the entries of ``folder`` private; the folders among them."""
    folders: list[str] = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                continue
            with suppress(FileNotFoundError):  # a temporary file that was just deleted
                _close(entry.path, entry.stat(follow_symlinks=False), done)
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
    return folders


def _close(path: str, found: os.stat_result, done: Permissions) -> None:
    if not found.st_mode & UMASK:
        return
    try:
        os.chmod(path, found.st_mode & PRIVATE_FOLDER)  # noqa: PTH101 - pathlib is slow for many thousand files
    except PermissionError:
        done.not_corrected.append(Path(path))
        return
    # Some file systems, such as FAT and network shares, accept the call and ignore it.
    if os.stat(path).st_mode & UMASK:  # noqa: PTH116 - as above
        done.not_corrected.append(Path(path))
    else:
        done.corrected += 1


def _lock(descriptor: int, folder: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                reason = f"another VideoVault has been preparing it for {seconds:.0f} seconds"
                raise TimeoutError(None, reason, str(folder)) from None
            time.sleep(POLL_SECONDS)
        else:
            return
