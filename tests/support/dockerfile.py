"""The stages of the Dockerfile, and a clean folder with what one of them copies."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.app import ROOT

FILE = ROOT / "Dockerfile"
INSTRUCTION = re.compile(r"([A-Z]+)\s+(.*)", re.DOTALL)
IGNORED = shutil.ignore_patterns("__pycache__", "external")


@dataclass
class Stage:
    """``copies`` are (from stage, source, target); ``environment`` is what ENV sets."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    @property
    def commands(self) -> list[str]:
        return [text for name, text in self.instructions if name == "RUN"]

    @property
    def copies(self) -> Iterator[tuple[str, str, str]]:
        for name, text in self.instructions:
            if name == "COPY":
                words = text.split()
                origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
                for source in words[:-1]:
                    yield origin, source, words[-1]

    def last(self, name: str) -> str:
        return next(text for each, text in reversed(self.instructions) if each == name)

    def list_of(self, name: str) -> list[str]:
        """The arguments of an instruction in JSON form."""
        words: list[str] = json.loads(self.last(name))
        return words

    @property
    def environment(self) -> dict[str, str]:
        pairs = [pair for name, text in self.instructions if name == "ENV" for pair in text.split()]
        return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def stages() -> dict[str, Stage]:
    """By name, the last one as ``final``; a stage has the instructions of the stage that it is based on, too."""
    found: dict[str, Stage] = {}
    stage: Stage | None = None
    for name, text in _instructions():
        if name == "FROM":
            base, _, alias = text.partition(" AS ")
            alias = alias or "final"
            inherited = found[base].instructions if base in found else []
            stage = found[alias] = Stage(alias, base, [*inherited])
        elif stage:
            stage.instructions.append((name, text))
    return found


def copy_context(stage: Stage, folder: Path) -> None:
    """What the stage copies from the build context, at its place in ``folder``."""
    for origin, source, target in stage.copies:
        if not origin:
            _copy(ROOT / source, folder / target / Path(source).name if target == "./" else folder / target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=IGNORED)
    else:
        shutil.copy2(source, target)


def _instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", FILE.read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if found := INSTRUCTION.match(line.strip()):
            yield found[1], " ".join(found[2].split())
