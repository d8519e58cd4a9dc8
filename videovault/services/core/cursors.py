"""Keyset cursors: a page continues behind the sort keys of its last row, so that no row is repeated or skipped.

An offset would count rows that came or went between two pages.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, literal, tuple_
from sqlalchemy.sql.operators import desc_op

from videovault import security
from videovault.errors import InvalidInput

INVALID = "This cursor was not given out by an earlier page."
MAX_AGE_SECONDS = 30 * 86400
MAX_ID = 2**31 - 1  # PostgreSQL refuses to compare an INTEGER column with more
Order = Sequence[Any]  # columns, ascending or ``.desc()``; the last one is unique
Position = Sequence[Any]  # the values of these columns in one row


def sort_keys(order: Order) -> list[Any]:
    """The columns of ``order``, to be selected beside the row."""
    return [column.element if _is_descending(column) else column for column in order]


def directed(order: Order, columns: Sequence[Any]) -> list[Any]:
    """``columns`` in the directions of ``order``."""
    pairs = zip(order, columns, strict=True)
    return [column.desc() if _is_descending(each) else column for each, column in pairs]


def after(order: Order, position: Position) -> ColumnElement[bool]:
    """The rows that come behind ``position`` in this order, whose columns all have one direction.

    A comparison of rows begins in an index at the position itself, even among many equal keys.
    """
    keys = sort_keys(order)
    values = [literal(value, key.type) for key, value in zip(keys, position, strict=True)]
    row, last = tuple_(*keys), tuple_(*values)
    return row < last if _is_descending(order[0]) else row > last


def encode(name: str, position: Position) -> str:
    """A cursor for the order called ``name``; signed, so that its values may go into a query as they are."""
    return security.sign("cursor", [name, *map(_to_json, position)])


def decode(cursor: str, name: str) -> Position:
    """Raises InvalidInput for a cursor that was not given out for the order called ``name``."""
    match security.unsign("cursor", cursor, max_age_seconds=MAX_AGE_SECONDS):
        case [str(given), *values] if given == name:
            return [_from_json(value) for value in values]
    raise InvalidInput(INVALID, {"cursor": INVALID})


def decode_id(cursor: str) -> int:
    """The cursor of a table that is listed by a numeric id: the id itself. Raises InvalidInput."""
    if not cursor.isdecimal() or len(cursor) > 10 or int(cursor) > MAX_ID:
        raise InvalidInput(INVALID, {"cursor": INVALID})
    return int(cursor)


def _is_descending(column: Any) -> bool:
    return getattr(column, "modifier", None) is desc_op


def _to_json(value: Any) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _from_json(value: Any) -> Any:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
