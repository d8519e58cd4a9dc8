"""Runs the studio on loopback: ``VIDEOVAULT_STUDIO_KEY=… python -m videovault.embedded.studio --port 3001``."""

import argparse
import asyncio
import logging
import os
import signal
from pathlib import Path

import httpx
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from videovault import logs
from videovault.config import settings
from videovault.embedded.processes import exit_without_teardown
from videovault.embedded.studio.render_queue import HOST, JobStore, Options, RenderQueue
from videovault.embedded.studio.server import create_app
from videovault.gateways.studio import KEY_VARIABLE
from videovault.installation import UMASK

# Open downloads are cut afterwards: they can be resumed, and every job is on disk.
SHUTDOWN_SECONDS = 1.0

_log = logging.getLogger("videovault.embedded.studio")


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; raises errors of the server, such as a port in use."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    # Callbacks go to loopback, so proxies of the environment do not apply.
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        queue = RenderQueue(JobStore(options.data_dir), client, options)
        app = create_app(queue, options)
        server = Server(
            app, HOST, options.port, interface=Interfaces.ASGINL, websockets=False, log_level=LogLevels.error
        )
        serving = asyncio.create_task(server.serve())
        queue.start()
        _log.debug("the studio serves http://%s", options.address)
        await asyncio.wait(
            [serving, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        await queue.stop()
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it without annotations
        await _ended(serving)


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


async def _ended(serving: asyncio.Task[None]) -> None:
    """Wait for the server, but not without limit for its clients."""
    _, pending = await asyncio.wait({serving}, timeout=SHUTDOWN_SECONDS)
    if pending:
        exit_without_teardown()
    serving.result()


if __name__ == "__main__":
    os.umask(UMASK)
    logs.configure(settings().log_format, settings().log_level)
    asyncio.run(serve(parse_options()))
    exit_without_teardown()
