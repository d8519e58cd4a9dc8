"""DATA_DIR: private to one user, prepared by one process at a time, with keys and ports made at the first start."""

import fcntl
import json
import os
import pwd
import secrets
import socket
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

FILE_NAME = "installation.json"  # readable by its user only
# Exists during a restore, so that nothing starts on half-restored data.
RESTORE_MARKER = "restore.unfinished"
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


@dataclass(frozen=True)
class Installation:
    """Keys and loopback ports of the embedded parts; ``secret_key`` seals keys and signs tokens.

    With ``studio_key`` the embedded studio and the rest of VideoVault authenticate each other.
    """

    secret_key: str
    s3_access_key: str
    s3_secret_key: str
    s3_port: int
    studio_port: int
    studio_key: str


def load_or_create(data_dir: Path) -> Installation:
    """The installation in ``data_dir``, created at the first start.

    Raises OSError if the folder cannot be written, ValueError if the file is damaged.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        _publish(path, _fresh(), overwrite=False)
    known = _known(path)
    if "studio_key" not in known:
        known = _with_studio_key(path)
    try:
        return Installation(**known)
    except TypeError as error:
        raise ValueError(str(error)) from error


def restore(data_dir: Path, backup: Installation) -> None:
    """Write ``backup`` into ``data_dir``, which must not have an installation yet. Raises OSError."""
    _publish(data_dir / FILE_NAME, backup, overwrite=False)


def load_with_free_ports(data_dir: Path) -> Installation:
    """The installation, with new ports where another program has taken one of them."""
    load_or_create(data_dir)
    with directory_lock(data_dir):
        old = load_or_create(data_dir)
        if _is_free(old.s3_port) and _is_free(old.studio_port):
            return old
        s3_port, studio_port = _free_ports()
        new = replace(old, s3_port=s3_port, studio_port=studio_port)
        _publish(data_dir / FILE_NAME, new, overwrite=True)
        return new


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


def _known(path: Path) -> dict[str, Any]:
    """The file's content without keys of later versions."""
    kept = json.loads(path.read_text())
    if not isinstance(kept, dict):
        raise ValueError("it holds no JSON object")  # noqa: TRY004 - the file is invalid, not an argument
    return {field.name: kept[field.name] for field in fields(Installation) if field.name in kept}


def _with_studio_key(path: Path) -> dict[str, Any]:
    """Add the key that earlier versions lack; processes that start together agree on one."""
    with directory_lock(path.parent):
        known = _known(path)
        if known.keys() == {field.name for field in fields(Installation)} - {"studio_key"}:
            known["studio_key"] = _new_key()
            _publish(path, Installation(**known), overwrite=True)
        return known


def _fresh() -> Installation:
    s3_port, studio_port = _free_ports()
    return Installation(
        secret_key=_new_key(),
        s3_access_key=secrets.token_hex(10),
        s3_secret_key=secrets.token_urlsafe(30),
        s3_port=s3_port,
        studio_port=studio_port,
        studio_key=_new_key(),
    )


def _new_key() -> str:
    return secrets.token_urlsafe(32)


def _publish(path: Path, installation: Installation, *, overwrite: bool) -> None:
    """Write the file atomically; if two processes start together, the first one's file stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(installation), file, indent=2)
    try:
        if overwrite:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:  # bound together, so that they differ
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
