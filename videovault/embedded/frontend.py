"""Builds the pages, and builds them again only when their inputs have changed, as a stamp beside the build says.

The pages of the last versions are kept.
"""

import base64
import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from videovault.errors import ConfigurationError
from videovault.installation import directory_lock

log = logging.getLogger(__name__)

ROOT = Path(__file__).parent.parent.parent
# The build depends on these modules and on all of ours that they import, directly or not.
ENTRY_MODULES = ("rxconfig", "videovault.pages")
LOCK_FILE = ROOT / "reflex.lock" / "bun.lock"
# Reflex writes these into the pages, whose content must depend on the version alone: replicas share them.
BUILD_SETTINGS = {"HOST": "127.0.0.1", "PORT": "3000", "REDIS_URL": ""}
OTHER_INPUTS = (ROOT / "videovault" / "videovault.py", ROOT / "assets", LOCK_FILE)
IMPORT = re.compile(
    r"^ *(?:from|import) ((?:videovault|rxconfig)\b[\w.]*)(?: import (\([^)]*\)|.*))?", re.MULTILINE
)
STAMP = "videovault.stamp"
# Beside the web directory, which Reflex deletes when it is new or incomplete.
LOG_SUFFIX, LOCK_SUFFIX = "-build.log", "-build.lock"
BUILD_SECONDS = 1800.0  # half a minute as a rule
PAGES = Path("build/client")
ASSETS = "assets"  # the files in it have a hash of their content in their name
VERSION_CHARACTERS = 16
KEPT_VERSIONS = 2  # the current one and the one before it
KEPT_FOLDER = "pages"  # in DATA_DIR, which a new version finds again in another folder or container too
UNFINISHED = ".unfinished"
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)


def web_dir() -> Path:
    return ROOT / os.environ.get("REFLEX_WEB_WORKDIR", ".web")


def is_built() -> bool:
    """Whether the pages were built from the current inputs and are on disk as they were built."""
    file = web_dir() / STAMP
    if not file.exists():
        return False
    inputs, _, built = file.read_text().partition("\n")
    if inputs != _input_digest():
        return False
    is_whole = built == _built_digest()
    if built and not is_whole:
        log.warning("The built pages are damaged and are built again: %s", web_dir() / PAGES)
    return is_whole


def built_version() -> str:
    """Identifies the pages on disk by their content; empty if none have been built completely."""
    file = web_dir() / STAMP
    _, _, built = file.read_text().partition("\n") if file.exists() else ("", "", "")
    return built[:VERSION_CHARACTERS]


def build() -> None:
    """Compile the pages into ``web_dir()``, unless another process has done so meanwhile.

    Raises ConfigurationError with the end of the build's log.
    """
    folder = web_dir()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + LOCK_SUFFIX).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two builds in one folder would overwrite each other's files
        if is_built():
            return
        (folder / STAMP).unlink(missing_ok=True)
        # Reflex copies our assets into it and never removes one that we have removed.
        shutil.rmtree(folder / "public", ignore_errors=True)
        inputs = _input_digest()  # before the build: a change during it asks for another one
        _export_locked(folder.with_name(folder.name + LOG_SUFFIX))
        (folder / STAMP).write_text(stamp(inputs))


def stamp(inputs: str = "") -> str:
    """Digests of the inputs (the current ones by default) and of the pages on disk."""
    return f"{inputs or _input_digest()}\n{_built_digest()}"


def input_files() -> list[Path]:
    """All files that the pages are compiled from. Raises ConfigurationError when one is missing."""
    modules: dict[str, Path] = {}
    remaining = list(ENTRY_MODULES)
    while remaining:
        name = remaining.pop()
        if name not in modules:
            modules[name] = _file_of(name)
            remaining += _imports_of(modules[name])
    others = (file for path in OTHER_INPUTS for file in _files_under(path))
    return sorted({*modules.values(), *others})


def start_page() -> str:
    """The built start page, which names the scripts of its version; empty if the pages are not built."""
    page = web_dir() / PAGES / "index.html"
    return page.read_text() if page.exists() else ""


def keep_pages(data_dir: Path) -> None:
    """Copy the hashed files of the pages as they are built now, and delete all but those of the last KEPT_VERSIONS.

    They are still open in browsers after an upgrade. Without room for them the installation works all the same, so an
    error is only logged.
    """
    current = built_version()
    if not current:
        return
    folder = data_dir / KEPT_FOLDER
    try:
        with directory_lock(folder):
            _copy_kept(folder / current)
            _delete_older_kept(folder)
    except OSError as error:
        log.warning("The files of these pages cannot be kept for the time after an upgrade: %s", error)


def kept_versions(data_dir: Path) -> list[Path]:
    """A folder for each version, with the files as the pages name them."""
    return [version for version in (data_dir / KEPT_FOLDER).glob("*") if version.suffix != UNFINISHED]


def script_hashes() -> tuple[str, ...]:
    """``sha256-…`` of every inline script in the built pages, in the format of a content security policy."""
    start = web_dir() / PAGES / "index.html"
    return _hashes(start.stat().st_mtime_ns) if start.exists() else ()


@lru_cache(maxsize=1)
def _hashes(_built_at: int) -> tuple[str, ...]:
    pages = (web_dir() / PAGES).rglob("*.html")
    scripts = {script for page in pages for script in INLINE_SCRIPT.findall(page.read_text())}
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return tuple(sorted(f"sha256-{base64.b64encode(digest).decode()}" for digest in digests))


def _export_locked(log: Path) -> None:
    """Export with the front-end packages of the committed lock file and no others.

    Reflex installs them frozen, then adds missing packages in versions that the registry chooses, and writes these into
    the lock file.
    """
    locked = LOCK_FILE.read_bytes()
    _export(log)
    if LOCK_FILE.read_bytes() != locked:
        LOCK_FILE.write_bytes(locked)
        raise ConfigurationError(
            "The pages need front-end packages that reflex.lock/bun.lock does not name. "
            "Run `make lock ARGS=--frontend`, look at what changed, and commit it."
        )


def _export(log: Path) -> None:
    command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip"]
    done: subprocess.CompletedProcess[bytes] | None = None
    with log.open("wb") as output, suppress(subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            timeout=BUILD_SECONDS,
            check=False,
        )
    if done is None or done.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ConfigurationError(f"The pages could not be built. The end of {log}:\n{end}")


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        **BUILD_SETTINGS,
        # Without these, Reflex downloads bun and checks for new versions.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "REFLEX_USE_SYSTEM_BUN": "1",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
    }


def _input_digest() -> str:
    return _digest_of(input_files(), version("reflex"), str(BUILD_SETTINGS))


def _built_digest() -> str:
    return _digest_of(sorted(path for path in (web_dir() / PAGES).rglob("*") if path.is_file()))


def _digest_of(files: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256("".join(more).encode())
    for path in files:
        digest.update(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _file_of(module: str) -> Path:
    package = ROOT / module.replace(".", "/") / "__init__.py"
    return package if package.exists() else _existing(package.parent.with_suffix(".py"))


def _imports_of(file: Path) -> list[str]:
    """The modules of ours that the file imports; an imported name may be a module too."""
    found = []
    for module, names in IMPORT.findall(file.read_text()):
        found.append(module)
        found += [f"{module}.{name}" for name in re.findall(r"\w+", names) if _is_module(f"{module}.{name}")]
    return found


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _files_under(path: Path) -> list[Path]:
    """The file itself, or all files in the folder except those that Reflex puts there."""
    found = path.rglob("*") if path.is_dir() else [_existing(path)]
    return [file for file in found if file.is_file() and "external" not in file.parts]


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ConfigurationError(f"The pages cannot be built: {path} is missing.")
    return path


def _copy_kept(version: Path) -> None:
    if not version.exists():
        copy = version.with_name(version.name + UNFINISHED)
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(web_dir() / PAGES / ASSETS, copy / ASSETS)
            copy.rename(version)
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)  # the disk may be full
            raise
    os.utime(version)  # the last one that was started is the current one


def _delete_older_kept(folder: Path) -> None:
    by_age = sorted(kept_versions(folder.parent), key=lambda kept: kept.stat().st_mtime_ns, reverse=True)
    for kept in by_age[KEPT_VERSIONS:]:
        shutil.rmtree(kept)
