"""Duration, dimensions and a poster of a stored video, read by a child process that a hostile file cannot hurt."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass

from videovault import logs

DEADLINE_SECONDS = 30
log = logs.get(__name__)


@dataclass(frozen=True)
class Probe:
    """``duration`` in seconds, ``width`` and ``height`` in pixels, ``poster`` a WebP image or None."""

    duration: float | None
    width: int | None
    height: int | None
    poster: bytes | None


def probe(url: str, container: str) -> Probe | None:
    """Look at the video behind ``url``, whose container was sniffed before; None when it cannot be read."""
    command = [sys.executable, "-m", "videovault.gateways.probe_child", container]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, the URL goes by stdin so that ps does not show it
            command,
            input=url.encode(),
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=True,
            env=_environment(),
        )
        said = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        log.warning("probe failed", reason=type(error).__name__)
        return None
    poster = base64.b64decode(said["poster"]) if said["poster"] else None
    return Probe(said["duration"], said["width"], said["height"], poster)


def _environment() -> dict[str, str]:
    """Nothing of ours but where Python finds its modules: the child needs no secrets."""
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
