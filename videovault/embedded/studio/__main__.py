"""Runs the studio on loopback: ``VIDEOVAULT_STUDIO_KEY=… python -m videovault.embedded.studio --port 3001``."""

import argparse
import asyncio
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import httpx
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from videovault import logs
from videovault.config import settings
from videovault.data_dir import UMASK
from videovault.embedded.process import exit_without_teardown
from videovault.embedded.studio.endpoints import Access, Mode, create_app
from videovault.embedded.studio.jobs import JobStore
from videovault.embedded.studio.render_queue import RenderQueue
from videovault.gateways.studio import KEY_VARIABLE

HOST = "127.0.0.1"
# Open downloads are cut after this: they can be resumed, and every job is on disk.
FAREWELL_SECONDS = 1.0

_log = logging.getLogger("videovault.embedded.studio")


@dataclass(frozen=True)
class Options:
    """What the command line says; ``delay`` in seconds, ``bytes_per_second`` 0 for no brake."""

    port: int
    data_dir: Path
    mode: Mode
    delay: float
    bytes_per_second: int
    callback: str
    key: str


def options(arguments: list[str] | None = None) -> Options:
    """Reads the command line; ends the process with an explanation when it is wrong."""
    parser = argparse.ArgumentParser(prog="videovault.embedded.studio", description=__doc__)
    parser.add_argument("--port", type=int, default=3001, help="where to listen on 127.0.0.1")
    parser.add_argument("--data-dir", type=Path, default=Path("var/studio"), help="jobs and rendered files")
    parser.add_argument(
        "--mode", choices=("callback", "direct"), default="callback", help="how /video answers"
    )
    parser.add_argument("--delay", type=float, default=3.0, help="a callback comes no sooner, in seconds")
    parser.add_argument("--bytes-per-second", type=int, default=0, help="slow each download down; 0: do not")
    parser.add_argument("--callback", default="", metavar="URL", help="the only address that is called back")
    chosen = parser.parse_args(arguments)
    key = os.environ.pop(KEY_VARIABLE, "")
    if not key:
        parser.error(f"{KEY_VARIABLE} is not set: it is what callers have to show")
    return Options(**vars(chosen), key=key)


async def serve(chosen: Options) -> None:
    """Serve until SIGTERM or SIGINT; raises what the server raised, a taken port for one."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    base_url = f"http://{HOST}:{chosen.port}"
    store = JobStore(chosen.data_dir)
    # The callback goes to loopback: no proxy of the environment may come between.
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        production = RenderQueue(store, client, base_url, chosen.delay, chosen.callback, chosen.key)
        access = Access(f"{HOST}:{chosen.port}", chosen.key)
        app = create_app(production, store, access, chosen.mode, chosen.bytes_per_second)
        server = Server(
            app, HOST, chosen.port, interface=Interfaces.ASGINL, websockets=False, log_level=LogLevels.error
        )
        serving = asyncio.create_task(server.serve())
        production.start()
        _log.debug("the studio serves %s", base_url)
        await _first_of(serving, asyncio.create_task(stopping.wait()))
        await production.stop()
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it without annotations
        await _ended(serving)


async def _first_of(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _ended(serving: asyncio.Task[None]) -> None:
    """The server waits for its clients without limit; this does not."""
    _, pending = await asyncio.wait({serving}, timeout=FAREWELL_SECONDS)
    if pending:
        exit_without_teardown()
    serving.result()


if __name__ == "__main__":
    os.umask(UMASK)
    logs.configure(settings().log_format, settings().log_level)
    asyncio.run(serve(options()))
    exit_without_teardown()
