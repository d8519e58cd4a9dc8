"""Builds the pages once and again only when their sources changed, which a stamp beside the build tells."""

import base64
import fcntl
import hashlib
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from videovault.errors import ConfigurationError

log = logging.getLogger(__name__)

ROOT = Path(__file__).parent.parent.parent
# What the compiled pages are made of: markup, states and the shapes of their vars.
SOURCES = (
    "rxconfig.py",
    "videovault/videovault.py",
    "videovault/pages",
    "videovault/components",
    "videovault/state",
    "videovault/services/core/views.py",
    "videovault/services/sharing/share_links.py",
    "assets",
    "reflex.lock/bun.lock",
)
LOCK_FILE = ROOT / "reflex.lock" / "bun.lock"
STAMP = "videovault.stamp"
LOG = "videovault-build.log"
LOCK = "videovault-build.lock"
PAGES = Path("build/client")
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)


def web_dir() -> Path:
    return ROOT / os.environ.get("REFLEX_WEB_WORKDIR", ".web")


def is_built() -> bool:
    """Whether the pages are those of today's sources, and on disk just as they were built."""
    file = web_dir() / STAMP
    if not file.exists():
        return False
    sources, _, built = file.read_text().partition("\n")
    if sources != _fingerprint():
        return False
    is_whole = built == _digest_of(_built_files())
    if built and not is_whole:
        log.warning("The built pages are damaged and are built again: %s", web_dir() / PAGES)
    return is_whole


def build() -> None:
    """Compile the pages into ``web_dir()``, unless another process does so meanwhile.

    Raises ConfigurationError with the end of the build's log.
    """
    folder = web_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two builds in one folder would spoil each other
        if is_built():
            return
        (folder / STAMP).unlink(missing_ok=True)
        fingerprint = _fingerprint()  # a change while it builds asks for another build
        _export_locked(folder / LOG)
        (folder / STAMP).write_text(stamp(fingerprint))


def stamp(fingerprint: str = "") -> str:
    """What tells the sources (today's if not given), and the pages as they are on disk."""
    return f"{fingerprint or _fingerprint()}\n{_digest_of(_built_files())}"


def script_hashes() -> tuple[str, ...]:
    """``sha256-…`` of every script inside the built pages, as a content security policy names them."""
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

    Reflex installs them frozen, but adds what is missing afterwards, with versions that the registry chooses, and
    writes those back into the lock.
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
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            check=False,
        )
    if done.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ConfigurationError(f"The pages could not be built. The end of {log}:\n{end}")


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        # Reflex would otherwise download bun and ask for news.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "REFLEX_USE_SYSTEM_BUN": "1",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
    }


def _fingerprint() -> str:
    return _digest_of(_files(), version("reflex"))


def _digest_of(files: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256("".join(more).encode())
    for path in files:
        digest.update(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _built_files() -> list[Path]:
    return sorted(path for path in (web_dir() / PAGES).rglob("*") if path.is_file())


def _files() -> Iterator[Path]:
    for name in SOURCES:
        path = ROOT / name
        candidates = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (
            file
            for file in candidates
            if file.is_file() and "__pycache__" not in file.parts and "external" not in file.parts
        )
