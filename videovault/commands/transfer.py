"""`transfer`: store videos from URLs, with a progress bar for each."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from threading import Event

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from videovault.commands.output import plain, printable
from videovault.errors import VideoVaultError
from videovault.services.transfer import standalone
from videovault.services.transfer.engine import StoredObject


def transfer_all(wanted: Sequence[tuple[str, str]], at_once: int) -> int:
    """Transfer with progress bars on stderr; returns the number of failures."""
    stop, failed = Event(), 0
    columns = (
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=Console(stderr=True))
    with bars, ThreadPoolExecutor(max(1, at_once)) as pool:
        running = {}
        for url, key in wanted:
            bar = bars.add_task(escape(printable(standalone.display_name(url))), total=None)
            watch = standalone.ProgressControl(partial(_update_bar, bars, bar), stop)
            running[pool.submit(standalone.transfer_url, url, key, watch)] = (url, key)
        try:
            for done in as_completed(running):
                failed += not _print_result(bars.console, done, *running[done])
        except KeyboardInterrupt:
            stop.set()  # uploaded parts are kept, and the next run continues
            raise
    return failed


def _update_bar(bars: Progress, bar: TaskID, bytes_done: int, bytes_total: int | None) -> None:
    bars.update(bar, completed=bytes_done, total=bytes_total)


def _print_result(console: Console, done: Future[StoredObject], url: str, key: str) -> bool:
    """Print the result of one transfer; returns whether it succeeded."""
    try:
        stored = done.result()
    except VideoVaultError as error:
        console.print(plain(f"{standalone.display_name(url)}: {error.public_message}"))
        return False
    console.print(plain(f"{key}  {stored.size:,} bytes  crc32 {stored.crc32:08x}"), highlight=False)
    return True
