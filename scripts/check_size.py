"""Refuses source files over 500 lines: such a file probably has two subjects."""

import sys
from pathlib import Path

LIMIT = 500
FOLDERS = ("videovault", "tests", "alembic", "benchmarks", "scripts")


def main() -> int:
    root = Path(__file__).parent.parent
    files = [path for folder in FOLDERS for path in (root / folder).rglob("*.py")]
    long = {path: lines for path in files if (lines := len(path.read_text().splitlines())) > LIMIT}
    for path, lines in sorted(long.items()):
        print(f"{path.relative_to(root)}: {lines} lines, at most {LIMIT}")
    print(f"{len(files)} files, {len(long)} over {LIMIT} lines")
    return 1 if long else 0


if __name__ == "__main__":
    sys.exit(main())
