"""How the code is built, in figures: `python -m scripts.structure`. See docs/architecture.md."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT, SERVICES = "videovault", "videovault.services"
# Their packages, in the order that import-linter enforces, lowest first.
LEVELS = (
    {"core"},
    {"generation", "videos"},
    {"transfer", "accounts", "sharing"},
    {"admin", "outbox"},
    {"maintenance"},
)
SMALL_LINES = 60
# The same feature has the same file name in each layer; these layers may therefore share names.
LAYERS = ("pages", "components", "state", "api", "commands", "services")

Graph = Mapping[str, set[str]]


def modules() -> dict[str, Path]:
    """Each module of the product by its dotted name."""
    found = {}
    for path in sorted((ROOT / PRODUCT).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(paths: Mapping[str, Path]) -> Graph:
    """Which modules of the product each one imports, also for types and inside functions."""
    return {name: set(_imported(path, paths)) - {name} for name, path in paths.items()}


def _imported(path: Path, paths: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in paths)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in paths:
                    yield full
                elif node.module in paths:
                    yield node.module


def cycles(graph: Graph) -> list[list[str]]:
    """The groups of modules that reach each other."""
    below = {name: _reachable(graph, name) for name in graph}
    groups = {
        tuple(sorted(other for other in found if name in below[other])) for name, found in below.items()
    }
    return sorted(list(group) for group in groups if len(group) > 1)


def _reachable(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def package(name: str) -> str:
    """The package of services that a module belongs to, empty for the package ``services`` itself."""
    return name.removeprefix(f"{SERVICES}.").split(".")[0] if name.startswith(f"{SERVICES}.") else ""


def arrows(graph: Graph) -> set[tuple[str, str]]:
    """From which package of services to which other one imports go."""
    pairs = {(package(name), package(other)) for name, others in graph.items() for other in others}
    return {(one, other) for one, other in pairs if one and other and one != other}


def upward(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    level = {name: height for height, names in enumerate(LEVELS) for name in names}
    return {(one, other) for one, other in found if level[one] <= level[other]}


def small_with_one_importer(paths: Mapping[str, Path], graph: Graph) -> list[str]:
    importers: dict[str, set[str]] = defaultdict(set)
    for name, others in graph.items():
        for other in others:
            importers[other].add(name)
    return [
        name
        for name, path in paths.items()
        if path.name != "__init__.py" and len(importers[name]) == 1 and lines([path]) < SMALL_LINES
    ]


def shared_names(paths: Mapping[str, Path]) -> list[str]:
    """File names that two modules of one layer, or of unrelated layers, have in common."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, path in paths.items():
        if not path.name.startswith("__"):
            places[path.name].append(name)
    return [name for name, found in sorted(places.items()) if _is_unrelated(found)]


def _is_unrelated(names: list[str]) -> bool:
    layers = Counter(name.split(".")[1] for name in names)
    return len(names) > 1 and (max(layers.values()) > 1 or not set(layers) <= set(LAYERS))


def lines(paths: list[Path]) -> int:
    return sum(len(path.read_text().splitlines()) for path in paths)


def main() -> None:
    paths = modules()
    graph = imports(paths)
    found = arrows(graph)
    small, shared, rings = small_with_one_importer(paths, graph), shared_names(paths), cycles(graph)
    tests = sorted((ROOT / "tests").rglob("*.py"))
    print(f"Python files in {PRODUCT}/: {len(paths)}")
    print(f"lines in {PRODUCT}/: {lines(list(paths.values()))}")
    print(
        f"levels of services: {len(LEVELS)}; arrows between packages: {len(found)}; upward: {len(upward(found))}"
    )
    print(f"import cycles, types included: {len(rings)}")
    for ring in rings:
        print("   ", " <-> ".join(ring))
    print(f"modules with one importer and under {SMALL_LINES} lines: {len(small)}")
    for name in small:
        print("   ", name)
    print(f"unrelated modules sharing a file name: {len(shared)}")
    for name in shared:
        print("   ", name, *(n for n, p in paths.items() if p.name == name))
    print(f"lines of tests: {lines(tests)} in {len(tests)} files")


if __name__ == "__main__":
    main()
