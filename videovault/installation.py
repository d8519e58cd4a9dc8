"""Keys and ports generated at the first start and kept in DATA_DIR, readable by its user only."""

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from videovault.data_dir import directory_lock

FILE_NAME = "installation.json"
# Exists during a restore, so that nothing starts on half-restored data.
RESTORE_MARKER = "restore.unfinished"


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
