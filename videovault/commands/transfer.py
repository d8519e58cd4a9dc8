"""`transfer`: store videos from URLs, in a terminal with a progress bar for each."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from videovault.commands.output import plain, printable
from videovault.errors import VideoVaultError
from videovault.services.transfer import standalone
from videovault.services.transfer.engine import StoredObject

Report = Callable[[int, int | None], object]


@dataclass(frozen=True)
class Display:
    """``print`` a line; ``begin`` showing a transfer by its name, whose progress the returned function is told."""

    print: Callable[[str], object]
    begin: Callable[[str], Report]


def transfer_all(wanted: Sequence[tuple[str, str]], at_once: int) -> int:
    """Transfer, with the results on stderr; returns the number of failures."""
    stop, failed = Event(), 0
    with _bars() if sys.stderr.isatty() else _lines() as display, ThreadPoolExecutor(max(1, at_once)) as pool:
        running = {}
        for url, key in wanted:
            report = display.begin(standalone.display_name(url))
            watch = standalone.ProgressControl(report, stop)
            running[pool.submit(standalone.transfer_url, url, key, watch)] = (url, key)
        try:
            for done in as_completed(running):
                succeeded, line = _result(done, *running[done])
                display.print(line)
                failed += not succeeded
        except KeyboardInterrupt:
            stop.set()  # uploaded parts are kept, and the next run continues
            raise
    return failed


@contextmanager
def _lines() -> Iterator[Display]:
    """Without loading rich, which takes longer than a small transfer."""
    yield Display(
        lambda line: print(printable(line), file=sys.stderr, flush=True),  # noqa: T201 - this is the command line
        lambda _name: lambda _done, _total: None,
    )


@contextmanager
def _bars() -> Iterator[Display]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )

    def begin(name: str) -> Report:
        bar = bars.add_task(escape(printable(name)), total=None)
        return lambda bytes_done, bytes_total: bars.update(bar, completed=bytes_done, total=bytes_total)

    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Display(lambda line: bars.console.print(plain(line), highlight=False), begin)


def _result(done: Future[StoredObject], url: str, key: str) -> tuple[bool, str]:
    """Whether one transfer succeeded, and the line that says so."""
    try:
        stored = done.result()
    except VideoVaultError as error:
        return False, f"{standalone.display_name(url)}: {error.public_message}"
    return True, f"{key}  {stored.size:,} bytes  crc32 {stored.crc32:08x}"
