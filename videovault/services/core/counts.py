"""The numbers of videos and bytes, read from counters: none of them counts rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, func, select

from videovault import counters, logs
from videovault.db import reading, transaction
from videovault.models import Counter, Status, User
from videovault.services.core.views import PUBLIC_STATUS, PublicStatus

USED_BYTES = col(Counter.ready_bytes) + col(Counter.copy_bytes) + col(Counter.reserved_bytes)
_COLUMNS: tuple[Any, ...] = tuple(getattr(Counter, name) for name in counters.COLUMNS)
log = logs.get(__name__)


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


# Counters can only be wrong after someone has changed the database by hand.


def repair() -> int:
    """Count the rows of every account again, while others write, and correct the totals; the number of wrong accounts."""
    wrong = 0
    last: str | None = ""
    while last is not None:
        was_wrong, last = _repair_next(last)
        wrong += was_wrong
    with transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.connection().execute(text("LOCK TABLE counters IN SHARE ROW EXCLUSIVE MODE"))
        counters.recount_totals(session.connection())
    return wrong


def repair_some() -> None:
    """Count the rows of one account again: of the next one at each call, so that all are counted in time."""
    _, _last_repaired[0] = _repair_next(_last_repaired[0] or "")


_last_repaired: list[str | None] = [""]


def _repair_next(last: str) -> tuple[bool, str | None]:
    """Whether the counters of the account after ``last`` were wrong, and its id; None after the last account."""
    with reading() as session:
        following = select(User.id).where(col(User.id) > last).order_by(col(User.id)).limit(1)
        user_id = session.exec(following).first()
    if user_id is None:
        return False, None
    with transaction() as session:
        was_wrong = counters.recount_account(session.connection(), user_id)
    if was_wrong:
        log.warning("the counters of an account were wrong and are corrected", user_id=user_id)
    return was_wrong, user_id
