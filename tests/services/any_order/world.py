"""What all runs share: one installation, in which each begins with nothing but Anna."""

from collections import Counter
from dataclasses import dataclass, field

from sqlmodel import delete

from tests.services.any_order.points import Points
from tests.support.generator import Generator
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Event, OutboxMessage, UploadPart, Video, WebhookCall
from videovault.services.core.access import Caller


@dataclass
class World:
    """Anna is the admin; ``films`` are the bytes behind each address; ``count`` tells in the end what was tried."""

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
