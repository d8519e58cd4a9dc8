"""The studio's options."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from videovault.gateways.studio import KEY_VARIABLE

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """``delay`` in seconds; ``bytes_per_second`` limits each download, 0: no limit; ``key`` is shared with the callers.

    In direct mode ``/video`` responds with the rendered video. Callbacks go to ``callback``, never to the address in a
    request; if it is empty, there are none.
    """

    port: int
    data_dir: Path
    mode: str
    delay: float
    bytes_per_second: int
    callback: str
    key: str

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def is_direct(self) -> bool:
        return self.mode == "direct"


def parse_options() -> Options:
    """Parse the command line; exits with an explanation if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="videovault.embedded.studio",
        description="The embedded studio: scripts and videos without external generators.",
    )
    parser.add_argument("--port", type=int, default=3001, help="where to listen on 127.0.0.1")
    parser.add_argument("--data-dir", type=Path, default=Path("var/studio"), help="jobs and rendered files")
    parser.add_argument(
        "--mode", choices=("callback", "direct"), default="callback", help="how /video answers"
    )
    parser.add_argument("--delay", type=float, default=3.0, help="minimum time before a callback, in seconds")
    parser.add_argument("--bytes-per-second", type=int, default=0, help="limit of each download; 0: none")
    parser.add_argument("--callback", default="", metavar="URL", help="the only callback address")
    chosen = parser.parse_args()
    key = os.environ.pop(KEY_VARIABLE, "")
    if not key:
        parser.error(f"{KEY_VARIABLE} is not set: callers authenticate with it")
    return Options(**vars(chosen), key=key)
