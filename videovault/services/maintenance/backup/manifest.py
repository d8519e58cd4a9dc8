"""What a backup says of itself. The manifest is written last, so that a folder with one holds a complete backup."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from videovault import security, untrusted_json
from videovault.config import settings
from videovault.errors import ConfigurationError, InvalidInput
from videovault.installation import FILE_NAME, Installation
from videovault.services.maintenance.backup import files as backup_files
from videovault.services.maintenance.backup.files import Damaged

FORMAT = 1
NAME = "manifest.json"
PARTIAL = "partial.sqlite"
OBJECTS = "objects"
MOST_BYTES = 64 * 1024
SHA256 = re.compile(r"[0-9a-f]{64}")

Kind = Literal["sqlite", "postgresql"]
# The names of files are these and no others, so that no manifest leads out of its folder.
STAMP = "%Y%m%dT%H%M%S%fZ"
NAMES = r"^(catalogue|database|installation)-[0-9]{8}T[0-9]{12}Z\.(sqlite|dump|json)$"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True)


class File(_Strict):
    """A file beside the manifest; ``size`` in bytes, ``sha256`` in hexadecimal digits."""

    name: Annotated[str, StringConstraints(pattern=NAMES)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, StringConstraints(pattern=f"^{SHA256.pattern}$")]


class Database(_Strict):
    """``revision`` is that of the schema, ``server`` and ``tool`` the major versions of PostgreSQL and pg_dump."""

    kind: Kind
    revision: str
    file: File
    server: int | None = None
    tool: int | None = None


class Key(_Strict):
    """Which SECRET_KEY seals in the database: the one in installation.json, or one that only the settings know."""

    source: Literal["installation", "settings"]
    fingerprint: str


class Manifest(_Strict):
    """``keeps_metadata`` is whether the objects came from a store that keeps their tags; ``bytes`` is their sum."""

    format: Literal[1] = 1
    taken_at: AwareDatetime
    database: Database
    key: Key
    installation: File | None
    catalogue: File
    keeps_metadata: bool
    objects: int
    bytes: int
    videos: int

    @property
    def files(self) -> list[File]:
        found = [self.database.file, self.catalogue, self.installation]
        return [each for each in found if each is not None]


def stamp(at: datetime) -> str:
    return at.strftime(STAMP)


def write(folder: Path, manifest: Manifest) -> None:
    """Publish the manifest: from now on the folder is this backup."""
    said = manifest.model_dump(mode="json")
    with backup_files.new(folder / NAME) as file:
        file.write(json.dumps({"manifest": said, "sha256": _digest(said)}, indent=2).encode())


def read(folder: Path) -> Manifest:
    """Raises InvalidInput when the folder holds no complete backup, or one of another format; Damaged."""
    path = folder / NAME
    if not path.exists():
        if (folder / PARTIAL).exists():
            raise InvalidInput(
                f"The backup in {folder} was interrupted before it was complete. "
                f"`python -m videovault backup {folder}` continues it."
            )
        raise InvalidInput(f"{folder} holds no backup: there is no {NAME}.")
    try:
        whole = untrusted_json.loads(backup_files.read(path, MOST_BYTES))
        said, digest = whole["manifest"], whole["sha256"]
        if said["format"] != FORMAT:
            raise InvalidInput(
                f"{path} has format {said['format']}, and this version of VideoVault reads format {FORMAT}."
            )
        if _digest(said) != digest:
            raise Damaged(f"{path} was changed: its checksum differs.")
        return Manifest.model_validate(said)
    except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: it cannot be read.") from error


def noted(path: Path) -> File:
    """A finished file as the manifest lists it."""
    found = backup_files.sum_of(path)
    return File(name=path.name, size=found.size, sha256=found.sha256)


def check(folder: Path, file: File) -> Path:
    """The path of a listed file. Raises Damaged when it is not as it was written."""
    path = folder / file.name
    found = backup_files.sum_of(path)
    if (found.size, found.sha256) != (file.size, file.sha256):
        raise Damaged(f"{path} is damaged: its checksum differs from the manifest's.")
    return path


def installation_of(folder: Path, manifest: Manifest) -> Installation | None:
    """The key file in the backup. Raises Damaged."""
    if manifest.installation is None:
        return None
    path = check(folder, manifest.installation)
    try:
        return TypeAdapter(Installation).validate_json(backup_files.read(path, MOST_BYTES))
    except ValidationError as error:
        raise Damaged(f"{path} is damaged: it cannot be read.") from error


def keys_with(installation: Installation | None) -> Sequence[str]:
    """The SECRET_KEYs of an installation that has these settings and this key file, the one that seals first."""
    chosen = settings()
    current = chosen.secret_key.get_secret_value() or (installation.secret_key if installation else "")
    old = [key.strip() for key in chosen.secret_key_old.get_secret_value().split(",")]
    return [key for key in (current, *old) if key]


def key_in_use(installation: Installation | None) -> Key:
    """Which key seals now, by the settings and this key file. Raises ConfigurationError when there is none."""
    from_settings = settings().secret_key.get_secret_value()
    if not from_settings and installation is None:
        raise ConfigurationError(
            f"There is no key: {settings().data_dir / FILE_NAME} is missing and SECRET_KEY is not set. Without the key "
            "that sealed in the database a backup would open nothing: restore the key first."
        )
    key = security.key_fingerprint(keys_with(installation)[0])
    return Key(source="settings" if from_settings else "installation", fingerprint=key)


def _digest(said: Any) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
