"""The numbers of videos and bytes, read from counters: none of them counts rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlmodel import Session, col, func, select

from videovault import counters
from videovault.models import Counter, Status
from videovault.services.core.views import PUBLIC_STATUS, PublicStatus

USED_BYTES = col(Counter.ready_bytes) + col(Counter.copy_bytes) + col(Counter.reserved_bytes)
_COLUMNS: tuple[Any, ...] = tuple(getattr(Counter, name) for name in counters.COLUMNS)


@dataclass(frozen=True)
class Counts:
    """Of one account or of all: ``by_state`` has every status; ``used_bytes`` count towards a quota."""

    accounts: int
    by_state: Mapping[Status, int]
    ready_bytes: int
    copy_bytes: int
    reserved_bytes: int

    @property
    def videos(self) -> int:
        return sum(self.by_state.values())

    @cached_property
    def by_public_status(self) -> dict[PublicStatus, int]:
        """Without videos that are being deleted."""
        counted: dict[PublicStatus, int] = dict.fromkeys(PUBLIC_STATUS.values(), 0)
        for status, public in PUBLIC_STATUS.items():
            counted[public] += self.by_state[Status(status)]
        return counted

    @property
    def stored_bytes(self) -> int:
        """Of ready videos and their playable copies."""
        return self.ready_bytes + self.copy_bytes

    @property
    def used_bytes(self) -> int:
        return self.stored_bytes + self.reserved_bytes


def of_account(session: Session, user_id: str) -> Counts:
    row = session.connection().execute(select(*_COLUMNS).where(col(Counter.scope) == user_id)).first()
    return _counts(row or [0] * len(_COLUMNS))


def of_row(row: Counter) -> Counts:
    return _counts([getattr(row, name) for name in counters.COLUMNS])


def of_all(session: Session) -> Counts:
    sums = [func.coalesce(func.sum(column), 0) for column in _COLUMNS]
    scope = col(Counter.scope)
    totals = scope >= counters.TOTAL_PREFIX, scope < counters.TOTAL_PREFIX + "~"
    return _counts(session.connection().execute(select(*sums).where(*totals)).one())


def _counts(values: Any) -> Counts:
    accounts, *numbers = map(int, values)
    by_state = {Status(name): number for name, number in zip(counters.STATES, numbers, strict=False)}
    return Counts(accounts, by_state, *numbers[len(counters.STATES) :])
