"""How the database runs the statements of a function: what it scans and sorts beyond what is due or shown."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from tests.support.statements import executions
from videovault import db

# Those that grow without bound. A search of accounts reads accounts, of which there are far fewer than videos.
LARGE = {
    "videos",
    "events",
    "deliveries",
    "outbox",
    "sessions",
    "users",
    "counters",
    "idempotency_keys",
    "webhook_ids",
    "generation_counts",
    "upload_parts",
}
PARTIAL = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'",
    "postgresql": "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indpred IS NOT NULL",
}
MAX_SORTED = 1000  # rows, by PostgreSQL's statistics
DUE_COPIES = "ix_videos_copy_state"  # searched for copies that are due


@dataclass(frozen=True)
class Tables:
    """The large tables, and the partial indexes, which hold due rows only."""

    large: Collection[str]
    partial: Collection[str]


@dataclass(frozen=True)
class Finding:
    """A full scan of a large table, or a sort of more than a page."""

    problem: str
    statement: str
    plan: str

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.statement}\n{self.plan}"


def expensive(act: Callable[[], object], *, filled: Collection[str] = ()) -> list[Finding]:
    """Run ``act``, and explain each of its statements.

    SQLite plans by the indexes alone. PostgreSQL plans by the size of the tables: ``filled`` are those with a million
    rows; it may scan all others.
    """
    with executions() as executed:
        act()
    found = []
    explained = set()
    with db.engine().connect() as connection:
        is_postgres = connection.dialect.name == "postgresql"
        partial = {DUE_COPIES, *connection.execute(text(PARTIAL[connection.dialect.name])).scalars()}
        known = Tables(filled or LARGE, partial)
        for statement, parameters in executed:
            if statement in explained or not re.match(r"\s*(SELECT|UPDATE|DELETE)", statement):
                continue
            explained.add(statement)
            explain = _postgres if is_postgres else _sqlite
            problems, plan = explain(connection, statement, parameters, known)
            found += [Finding(problem, statement, plan) for problem in problems]
    return found


def _sqlite(connection: Connection, statement: str, parameters: Any, tables: Tables) -> tuple[list[str], str]:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    plan = "\n".join(f"    {row[3]}" for row in rows)
    is_page = "LIMIT" in statement and "ORDER BY" in statement
    sorted_levels = {parent for _, parent, _, step in rows if "TEMP B-TREE FOR ORDER BY" in step}
    names = _aliases(statement, tables)
    problems = []
    before: dict[int, str] = {}  # the first step of each level, which a sort of this level gets its rows from
    for _, parent, _, step in rows:
        match = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
        if match:
            table = names.get(match[2], match[2])
            is_large = table in tables.large and match[3] not in tables.partial
            if match[1] == "SCAN" and is_large and (not is_page or parent in sorted_levels):
                problems.append(f"full scan of {table}")
            before.setdefault(parent, "large" if is_large else "small")
        if "TEMP B-TREE FOR" in step and "RIGHT PART" not in step and before.get(parent) == "large":
            problems.append(f"sort: {step}")
    return problems, plan


def _aliases(statement: str, tables: Tables) -> Mapping[str, str]:
    """The tables behind aliases such as ``videos_1``."""
    return {
        alias: table for table, alias in re.findall(r"(\w+) AS (\w+_\d+)", statement) if table in tables.large
    }


def _postgres(
    connection: Connection, statement: str, parameters: Any, tables: Tables
) -> tuple[list[str], str]:
    answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    plan = answer.scalar_one()
    root = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return list(_problems(root, tables, is_limited=False)), json.dumps(root, indent=1)


def _problems(node: Mapping[str, Any], tables: Tables, *, is_limited: bool) -> Iterator[str]:
    kind, table = node["Node Type"], node.get("Relation Name", "")
    if kind == "Seq Scan" and table in tables.large:
        yield f"full scan of {table}"
    if _is_whole_index(node, tables) and not is_limited:
        yield f"full scan of {table} by {node['Index Name']}"
    if kind == "Sort" and node["Plan Rows"] > MAX_SORTED:
        sorted_tables = list(_unlimited(node, tables))
        if sorted_tables:
            yield f"sort of {', '.join(sorted_tables)}"
    # An incremental sort reads no more than it needs: it only orders rows of equal times.
    limited = kind == "Limit" or (is_limited and kind != "Sort" and "Aggregate" not in kind)
    for child in node.get("Plans", ()):
        yield from _problems(child, tables, is_limited=limited)


def _is_whole_index(node: Mapping[str, Any], tables: Tables) -> bool:
    is_index = "Index" in node["Node Type"] and "Index Cond" not in node
    return is_index and node.get("Relation Name") in tables.large and node["Index Name"] not in tables.partial


def _unlimited(node: Mapping[str, Any], tables: Tables) -> Sequence[str]:
    """The large tables below, except rows that a limit or the primary key bounds, or that are due."""
    if node["Node Type"] == "Limit":
        return []
    index = node.get("Index Name", "")
    if index and (index in tables.partial or index.endswith("_pkey")):
        return []
    here = [node["Relation Name"]] if node.get("Relation Name") in tables.large else []
    return [*here, *(table for child in node.get("Plans", ()) for table in _unlimited(child, tables))]
