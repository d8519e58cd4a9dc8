"""Keeps the hashed files of the last versions of the pages, which are still open in browsers after an upgrade.

They are in DATA_DIR, which a new version finds again in another folder or container too.
"""

import logging
import os
import shutil
from pathlib import Path

from videovault.data_dir import directory_lock
from videovault.embedded import frontend

log = logging.getLogger(__name__)

VERSIONS = 2  # the current one and the one before it
FOLDER = "pages"
UNFINISHED = ".unfinished"


def keep(data_dir: Path) -> None:
    """Copy the files of the pages as they are built now, and delete those of all but the last ``VERSIONS`` versions.

    Without room for them the installation works all the same, so an error is only logged.
    """
    version = frontend.built_version()
    if not version:
        return
    folder = data_dir / FOLDER
    try:
        with directory_lock(folder):
            _copy(folder / version)
            _delete_older(folder)
    except OSError as error:
        log.warning("The files of these pages cannot be kept for the time after an upgrade: %s", error)


def kept_versions(data_dir: Path) -> list[Path]:
    """A folder for each version, with the files as the pages name them."""
    return [version for version in (data_dir / FOLDER).glob("*") if version.suffix != UNFINISHED]


def _copy(version: Path) -> None:
    if not version.exists():
        copy = version.with_name(version.name + UNFINISHED)
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(frontend.web_dir() / frontend.PAGES / frontend.ASSETS, copy / frontend.ASSETS)
            copy.rename(version)
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)  # the disk may be full
            raise
    os.utime(version)  # the last one that was started is the current one


def _delete_older(folder: Path) -> None:
    by_age = sorted(
        kept_versions(folder.parent), key=lambda version: version.stat().st_mtime_ns, reverse=True
    )
    for version in by_age[VERSIONS:]:
        shutil.rmtree(version)
