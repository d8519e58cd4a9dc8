"""Our engine as the worker runs it, behind the one function that is measured."""

from hashlib import sha256

from videovault.config import settings
from videovault.gateways import source, storage
from videovault.services.transfer.engine import Target, Transfer
from videovault.services.transfer.standalone import FileUploadJournal


class Unhurried:
    """Nobody cancels and nobody watches."""

    def check(self) -> None:
        """Go on."""

    def begin(self, bytes_total: int | None) -> None:
        """There is room."""

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """Not shown anywhere."""


def transfer(url: str, key: str) -> None:
    """Bring the video at ``url`` into the bucket as ``key``, proven."""
    ledger = FileUploadJournal(settings().data_dir / "transfers" / sha256(key.encode()).hexdigest())
    Transfer(source.connected(), storage.connected(), url, Target(key), ledger, Unhurried()).run()
    ledger.clear()
