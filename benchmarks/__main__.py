"""`make bench`: our engine compared with its rivals. `make bench ARGS="--quick --only a,c"` takes less time."""

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from benchmarks import open_galleries, product_memory, report, results, start
from benchmarks.process_usage import RunFailed
from benchmarks.results import Section
from benchmarks.rounds import measure
from benchmarks.scenarios import SCENARIOS, Scenario, quick

FILE = Path(__file__).parent / "RESULTS.md"
KNOWN = {scenario.letter: scenario for scenario in SCENARIOS}


def main() -> None:
    chosen = _options()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # so that all processes are stopped
    sections = []
    for letter in _letters(chosen.only):
        if letter == product_memory.LETTER:
            size = product_memory.QUICK_SIZE if chosen.quick else product_memory.SIZE
            sections.append(_product(letter, product_memory.TITLE, partial(product_memory.measure, size)))
        elif letter == open_galleries.LETTER:
            sections.append(_product(letter, open_galleries.TITLE, open_galleries.measure))
        elif letter == start.LETTER:
            sections.append(_product(letter, start.TITLE, start.measure))
        else:
            sections.append(_section(quick(KNOWN[letter]) if chosen.quick else KNOWN[letter]))
    if chosen.quick:
        return
    if not chosen.only:
        before = FILE.read_text() if FILE.exists() else ""
        FILE.write_text(results.document([*sections, report.table_of(before)]))
    elif FILE.exists():
        FILE.write_text(results.with_sections(FILE.read_text(), sections))
    print(f"written: {FILE.name}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small videos, one run, to see that it works")
    parser.add_argument(
        "--only", default="", metavar="a,c", help="only these scenarios; the others stay in RESULTS.md"
    )
    return parser.parse_args()


def _letters(only: str) -> list[str]:
    letters = [letter.strip() for letter in only.split(",") if letter.strip()]
    known = [*KNOWN, product_memory.LETTER, open_galleries.LETTER, start.LETTER]
    unknown = set(letters) - set(known)
    if unknown:
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return letters or known


def _section(scenario: Scenario) -> Section:
    _print(f"({scenario.letter}) {scenario.title}")
    try:
        body = results.table(scenario, measure(scenario, _print))
    except (RunFailed, OSError) as error:
        body = f"Left out: {error}\n"
    _print(f"\n{body}")
    return Section(scenario.letter, results.title(scenario), body)


def _product(letter: str, title: str, measure: Callable[[], str]) -> Section:
    """A section about the whole product, not only its engine."""
    _print(f"({letter}) {title}")
    try:
        body = measure()
    except (
        RunFailed,
        OSError,
        AssertionError,
        httpx.HTTPError,
    ) as error:  # the app did not start or respond
        body = f"Left out: {error}\n"
    _print(f"\n{body}")
    return Section(letter, title, body)


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
