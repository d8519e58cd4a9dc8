"""The installation that all runs share; each starts with Anna as the only user."""

from collections import Counter
from dataclasses import dataclass, field

from sqlmodel import delete

from tests.services.any_order.fault_points import Points
from tests.support.generator import Generator
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Event, OutboxMessage, UploadPart, Video, WebhookCall
from videovault.services.core.access import Caller


@dataclass
class SharedInstallation:
    """Anna is the admin; ``films`` are the bytes behind each URL; ``count`` counts what was tried."""

    anna: Caller
    vault: Storage
    generator: Generator
    films: dict[str, bytes]
    origin: str
    points: Points
    count: Counter[str] = field(default_factory=Counter)

    def emptied(self) -> None:
        with transaction() as session:
            for table in (UploadPart, Video, Event, WebhookCall, OutboxMessage):
                session.exec(delete(table))
        for upload in self.vault.uploads():
            self.vault.abort_upload(upload.key, upload.upload_id)
        self.vault.delete(list(self.vault.keys()))
        for remembered in (self.generator.renders, self.generator.polls):
            remembered.clear()
        self.generator.requests.clear()
        self.generator.idempotency_keys.clear()
