"""One page of a long list, at the cost of a page: each part of the list is read from an index, and merged."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Float, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, col, func, literal_column, select, union_all

from videovault.db import engine
from videovault.models import Video
from videovault.services.core import cursors
from videovault.services.core.cursors import Order, Position

T = TypeVar("T")
Conditions = Sequence[ColumnElement[bool]]


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
    keys = [key.label(f"key_{number}") for number, key in enumerate(cursors.sort_keys(order))]
    wanted = select(*keys).order_by(*order)
    if position:
        wanted = wanted.where(cursors.after(order, position))
    if limit:
        wanted = wanted.limit(limit + 1)
    read: list[Any] = [wanted.where(*conditions).subquery() for conditions in parts]
    page = read[0]
    if len(read) > 1:
        merged: Any = union_all(*(select(part) for part in read)).subquery()
        merged_order = cursors.directed(order, [merged.c[key.name] for key in keys])
        page = select(merged).order_by(*merged_order).limit(limit + 1 if limit else None).subquery()
    page_keys = [page.c[key.name] for key in keys]
    rows = (
        select(model, *page_keys)
        .join(page, page_keys[-1] == cursors.sort_keys(order)[-1])
        .order_by(*cursors.directed(order, page_keys))
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
