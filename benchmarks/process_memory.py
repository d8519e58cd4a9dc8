"""The memory of a group of processes: proportional set size (PSS), and what the group would take alone on a machine."""

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MIB = 1024**2
NAMES = (
    ("resource_tracker", "resource tracker"),
    ("spawn_main", "web"),
    ("videovault.embedded.studio", "studio"),
    ("rclone", "embedded S3"),
    ("videovault worker", "worker"),
    ("web_process", "main"),
    ("videovault", "main"),
)
MAPPING = re.compile(
    r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ (\d+) *(.*)\n(?:.*\n)*?Rss: +(\d+) kB\n(?:.*\n)*?Pss: +(\d+) kB\n"
    r"(?:.*\n)*?Anonymous: +(\d+) kB\n",
    re.MULTILINE,
)


@dataclass(frozen=True)
class ProcessMemory:
    """Bytes; ``files`` are the resident pages of each mapped file."""

    name: str
    pss: int
    anonymous: int
    files: dict[str, int]


def memory(pids: Sequence[int]) -> list[ProcessMemory]:
    """Those that still run."""
    found = []
    for pid in pids:
        with suppress(OSError):
            found.append(_memory_of(Path(f"/proc/{pid}")))
    return found


def total_pss(processes: Sequence[ProcessMemory]) -> int:
    return sum(each.pss for each in processes)


def alone(processes: Sequence[ProcessMemory]) -> int:
    """Without other programs that share files with them: each file counts once, at its largest."""
    files: defaultdict[str, int] = defaultdict(int)
    for each in processes:
        for file, size in each.files.items():
            files[file] = max(files[file], size)
    return sum(each.anonymous for each in processes) + sum(files.values())


def _memory_of(process: Path) -> ProcessMemory:
    command = (process / "cmdline").read_text().replace("\0", " ")
    pss = anonymous = 0
    files: defaultdict[str, int] = defaultdict(int)
    for inode, file, rss, share, private in MAPPING.findall((process / "smaps").read_text()):
        pss += int(share) * 1024
        anonymous += int(private) * 1024
        if int(inode):
            files[file] += (int(rss) - int(private)) * 1024
    name = next((name for part, name in NAMES if part in command), command[:30])
    return ProcessMemory(name, pss, anonymous, files)
