"""`python -m videovault reconcile` as a person reads it: a table, the first of each class, and what to do next."""

from collections.abc import Iterable

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from videovault.services.maintenance import reconcile
from videovault.services.maintenance.reconcile import Example, Group, Rebuilt, Report

NOTHING, SOMETHING = 0, 1
CREATE_ADMIN = "python -m videovault create-admin"


def run(*, repair: bool, rebuild: bool, as_json: bool) -> int:
    """Do it and tell of it on stdout; the exit status: 1 when there is something left to do, else 0."""
    if rebuild:
        rebuilt = reconcile.rebuild()
        _tell(rebuilt, _rebuilt(rebuilt), as_json=as_json)
        return SOMETHING if rebuilt.not_rebuilt.count or rebuilt.untagged.count else NOTHING
    report = reconcile.reconcile(repair=repair)
    _tell(report, _report(report), as_json=as_json)
    return SOMETHING if report.left else NOTHING


def _tell(facts: BaseModel, parts: Iterable[Text | Table], *, as_json: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        console.out(facts.model_dump_json(by_alias=True, indent=2))
        return
    for part in parts:
        console.print(part)


def _report(report: Report) -> Iterable[Text | Table]:
    yield _line(
        f"{report.videos:,} stored videos; {report.objects:,} objects of {report.bytes:,} bytes in their folders."
    )
    if not report.found:
        yield _line("Bucket and database agree.")
        return
    table = _table("Found", "Number", "Bytes", *(["Mended"] if report.repair else []))
    for each in report.found:
        mended = [f"{each.mended:,}"] if report.repair else []
        table.add_row(each.title, f"{each.count:,}", f"{each.bytes:,}", *mended)
    yield table
    for each in report.found:
        yield from _named(each.title, each)
    yield _line("")
    yield _line("What to do next" if report.left else "Everything that can be mended is mended.")
    for each in report.found:
        if each.mended < each.count:
            yield _line(f"  {each.title}: {each.advice}")


def _rebuilt(rebuilt: Rebuilt) -> Iterable[Text | Table]:
    table = _table("Videos", "Number", "Bytes")
    for title, group in (
        ("Rebuilt from their sidecars", rebuilt.rebuilt),
        ("Rebuilt from what S3 knows, for want of a sidecar", rebuilt.from_s3_alone),
        ("Rebuilt, but not tagged yet", rebuilt.untagged),
        ("Not rebuilt", rebuilt.not_rebuilt),
    ):
        table.add_row(title, f"{group.count:,}", f"{group.bytes:,}")
    table.add_row("In the database already, left alone", f"{rebuilt.kept:,}", "")
    yield table
    yield from _named("Rebuilt from what S3 knows", rebuilt.from_s3_alone)
    yield from _named("Not rebuilt", rebuilt.not_rebuilt)
    yield from _named("Accounts made", rebuilt.users)
    yield from (_line(advice) for advice in _next(rebuilt))


def _next(rebuilt: Rebuilt) -> Iterable[str]:
    yield ""
    if rebuilt.rebuilt.count or rebuilt.from_s3_alone.count:
        yield "Each rebuilt video has a new secret key: links that were shared before do not open any more."
    if rebuilt.users.count:
        yield (
            f"Nobody can sign in to the accounts made until they have a password: `{CREATE_ADMIN}` asks for the "
            "address and gives it one (and makes it an admin)."
        )
    if rebuilt.from_s3_alone.count or rebuilt.untagged.count:
        yield "`python -m videovault reconcile --repair` writes the sidecars and tags that are missing."
    if not rebuilt.rebuilt.count and not rebuilt.from_s3_alone.count:
        yield "Nothing was to be rebuilt."


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _named(title: str, group: Group) -> Iterable[Text]:
    if not group.count:
        return
    more = (
        f" (the first {len(group.examples)} of {group.count:,})" if group.count > len(group.examples) else ""
    )
    yield _line("")
    yield _line(f"{title}{more}")
    for each in group.examples:
        yield _line(f"  {_one(each)}")


def _one(each: Example) -> str:
    size = f"{each.bytes:,} bytes" if each.bytes else ""
    return "  ".join(
        part for part in (each.name, size, each.detail, "mended" if each.mended else each.why) if part
    )


def _line(text: str) -> Text:
    """Names from outside are no markup, and what cannot be printed is left out."""
    return Text("".join(char for char in text if char.isprintable()))
