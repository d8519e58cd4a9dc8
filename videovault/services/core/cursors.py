"""Pages of long lists, each at the cost of a page, and the keyset cursors that continue them.

A page continues behind the sort keys of its last row, so that no row is repeated or skipped: an offset would count rows
that came or went between two pages. Each part of a list is read from an index, and merged.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Float, Text, literal, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import desc_op
from sqlmodel import Session, col, func, literal_column, select, union_all

from videovault import security
from videovault.db import engine
from videovault.errors import InvalidInput
from videovault.models import Video

T = TypeVar("T")
INVALID = "This cursor was not given out by an earlier page."
MAX_AGE_SECONDS = 30 * 86400
MAX_ID = 2**31 - 1  # PostgreSQL refuses to compare an INTEGER column with more
Conditions = Sequence[ColumnElement[bool]]
Order = Sequence[Any]  # columns, ascending or ``.desc()``; the last one is unique
Position = Sequence[Any]  # the values of these columns in one row


class title_key(FunctionElement[str]):  # noqa: N801 - a SQL function
    """Titles are sorted by it, in either case alike (on SQLite: ASCII letters only), and it has an index."""

    inherit_cache = True


@compiles(title_key)
def _title_key(element: title_key, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(title_key, "sqlite")
def _title_key_sqlite(element: title_key, compiler: Any, **options: Any) -> str:
    return f"{compiler.process(element.clauses, **options)} COLLATE NOCASE"


# These have indexes, which the database uses for exactly these expressions, without parameters.
TITLE = title_key(col(Video.title))
STORED_SIZE: Any = literal_column(
    "(CASE WHEN videos.status = 'ready' THEN COALESCE(videos.size, 0) ELSE 0 END)",
    BigInteger(),
)
DURATION: Any = literal_column("(COALESCE(videos.duration, 0))", Float())
SOURCE_START: Any = literal_column("(substr(videos.source_url, 1, 200))", Text())


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


def read_page(
    session: Session,
    model: type[T],
    parts: Iterable[Conditions],
    order: Order,
    position: Position | None,
    limit: int | None,
    *options: ExecutableOption,
) -> tuple[list[T], Position | None]:
    """The rows of all ``parts`` behind ``position``, and the position of the last one if there are more.

    ``order`` is a sort key and the id, both in the same direction. Each part should begin with the columns of an index
    that continues with ``order``.
    """
    keys = [key.label(f"key_{number}") for number, key in enumerate(sort_keys(order))]
    wanted = select(*keys).order_by(*order)
    if position:
        wanted = wanted.where(after(order, position))
    if limit:
        wanted = wanted.limit(limit + 1)
    read: list[Any] = [wanted.where(*conditions).subquery() for conditions in parts]
    page = read[0]
    if len(read) > 1:
        merged: Any = union_all(*(select(part) for part in read)).subquery()
        merged_order = directed(order, [merged.c[key.name] for key in keys])
        page = select(merged).order_by(*merged_order).limit(limit + 1 if limit else None).subquery()
    page_keys = [page.c[key.name] for key in keys]
    rows = (
        select(model, *page_keys)
        .join(page, page_keys[-1] == sort_keys(order)[-1])
        .order_by(*directed(order, page_keys))
        .options(*options)
    )
    found = session.execute(rows).all()
    shown = found[:limit] if limit else found
    return [row[0] for row in shown], list(shown[-1][1:]) if len(found) > len(shown) else None


def contains(column: Any, text: str) -> ColumnElement[bool]:
    """Whether a column contains ``text`` in either case.

    SQLite compares ASCII by itself, many times faster than by calling our ``lower`` for each row.
    """
    if text.isascii() and engine().dialect.name == "sqlite":
        escaped = re.sub(r"([\\%_])", r"\\\1", text)
        is_contained: ColumnElement[bool] = col(column).like(f"%{escaped}%", escape="\\")
        return is_contained
    return col(column).icontains(text, autoescape=True)


def has_source(url: str) -> Conditions:
    """Whether a video's source is ``url``. Beside a condition on the whole column, SQLite would not use the index."""
    start, rest = SOURCE_START, func.substr(Video.source_url, 201)
    return [start == url[:200], rest == url[200:]]


def _is_descending(column: Any) -> bool:
    return getattr(column, "modifier", None) is desc_op


def _to_json(value: Any) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _from_json(value: Any) -> Any:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
