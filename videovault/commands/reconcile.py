"""Output of `python -m videovault reconcile`: a table, the first examples of each class, and what to do next."""

from collections.abc import Iterable

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from videovault.commands.output import console, plain
from videovault.services.maintenance import reconcile
from videovault.services.maintenance.reconcile import Example, Group, Rebuilt, Report

NOTHING_LEFT, FINDINGS_LEFT = 0, 1
CREATE_ADMIN = "python -m videovault create-admin"


def run(*, repair: bool, rebuild: bool, as_json: bool) -> int:
    """Run it and print the result; the exit status is 1 when findings are left, else 0."""
    if rebuild:
        rebuilt = reconcile.rebuild()
        _print(rebuilt, _rebuilt_lines(rebuilt), as_json=as_json)
        return FINDINGS_LEFT if rebuilt.not_rebuilt.count or rebuilt.untagged.count else NOTHING_LEFT
    report = reconcile.reconcile(repair=repair)
    _print(report, _report_lines(report), as_json=as_json)
    return FINDINGS_LEFT if report.left else NOTHING_LEFT


def _print(facts: BaseModel, parts: Iterable[Text | Table], *, as_json: bool) -> None:
    if as_json:
        console().out(facts.model_dump_json(by_alias=True, indent=2))
        return
    for part in parts:
        console().print(part)


def _report_lines(report: Report) -> Iterable[Text | Table]:
    yield plain(
        f"{report.videos:,} stored videos; {report.objects:,} objects of {report.bytes:,} bytes in their folders."
    )
    if not report.found:
        yield plain("Bucket and database agree.")
        return
    table = _table("Found", "Number", "Bytes", *(["Repaired"] if report.repair else []))
    for each in report.found:
        mended = [f"{each.mended:,}"] if report.repair else []
        table.add_row(each.title, f"{each.count:,}", f"{each.bytes:,}", *mended)
    yield table
    for each in report.found:
        yield from _examples(each.title, each)
    yield plain("")
    if not report.left:
        yield plain("Everything that can be repaired is repaired.")
    elif report.repair:
        yield plain("What to do next")
    else:
        yield plain("What to do next (`python -m videovault reconcile --repair` repairs)")
    for each in report.found:
        if each.mended < each.count:
            yield plain(f"  {each.title}: {each.advice}")


def _rebuilt_lines(rebuilt: Rebuilt) -> Iterable[Text | Table]:
    table = _table("Videos", "Number", "Bytes")
    for title, group in (
        ("Rebuilt from their sidecars", rebuilt.rebuilt),
        ("Rebuilt from S3 alone, without a sidecar", rebuilt.from_s3_alone),
        ("Rebuilt, but not tagged yet", rebuilt.untagged),
        ("Not rebuilt", rebuilt.not_rebuilt),
    ):
        table.add_row(title, f"{group.count:,}", f"{group.bytes:,}")
    table.add_row("Already in the database, not changed", f"{rebuilt.kept:,}", "")
    yield table
    yield from _examples("Rebuilt from S3 alone", rebuilt.from_s3_alone)
    yield from _examples("Not rebuilt", rebuilt.not_rebuilt)
    yield from _examples("Created accounts", rebuilt.users)
    yield from (plain(advice) for advice in _next_steps(rebuilt))


def _next_steps(rebuilt: Rebuilt) -> Iterable[str]:
    yield ""
    if rebuilt.rebuilt.count or rebuilt.from_s3_alone.count:
        yield "Each rebuilt video has a new secret key: earlier share links no longer work."
    if rebuilt.users.count:
        yield (
            f"The created accounts need a password before anyone can sign in: `{CREATE_ADMIN}` asks for the "
            "address and sets one (and makes the account an admin)."
        )
    if rebuilt.from_s3_alone.count or rebuilt.untagged.count:
        yield "`python -m videovault reconcile --repair` writes the missing sidecars and tags."
    if not rebuilt.rebuilt.count and not rebuilt.from_s3_alone.count:
        yield "There was nothing to rebuild."


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _examples(title: str, group: Group) -> Iterable[Text]:
    if not group.count:
        return
    more = (
        f" (the first {len(group.examples)} of {group.count:,})" if group.count > len(group.examples) else ""
    )
    yield plain("")
    yield plain(f"{title}{more}")
    for each in group.examples:
        yield plain(f"  {_example_line(each)}")


def _example_line(each: Example) -> str:
    size = f"{each.bytes:,} bytes" if each.bytes else ""
    return "  ".join(
        part for part in (each.name, size, each.detail, "repaired" if each.mended else each.why) if part
    )
