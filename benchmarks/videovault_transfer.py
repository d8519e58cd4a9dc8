"""Our transfer engine as the worker runs it."""

from hashlib import sha256

from videovault import logs
from videovault.config import settings
from videovault.gateways import source, storage
from videovault.services.transfer.engine import Target, Transfer
from videovault.services.transfer.standalone import FileUploadJournal

# As in a worker: unconfigured, structlog would write each debug line.
logs.configure(settings().log_format, settings().log_level, settings().secrets)


class NoCancellation:
    """Neither cancels nor shows progress."""

    def check(self) -> None:
        """Never cancelled."""

    def begin(self, bytes_total: int | None) -> None:
        """There is always enough capacity."""

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """Not shown."""


def transfer(url: str, key: str) -> None:
    """Store the video at ``url`` in the bucket as ``key``, verified."""
    journal = FileUploadJournal(settings().data_dir / "transfers" / sha256(key.encode()).hexdigest())
    Transfer(source.connected(), storage.connected(), url, Target(key), journal, NoCancellation()).run()
    journal.clear()
