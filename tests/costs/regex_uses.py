"""Every regular expression that the product uses, found in its source, and how each is matched."""

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import videovault
from tests.costs.regex_cost import Mode

ROOT = Path(videovault.__file__).parent
MODES: dict[str, Mode] = {
    "match": "match",
    "fullmatch": "fullmatch",
    **dict.fromkeys(("search", "sub", "subn", "split", "findall", "finditer"), "search"),
}


@dataclass(frozen=True)
class Use:
    """``place`` is ``module:name``, or ``module:line's pattern`` for one without a name."""

    place: str
    pattern: re.Pattern[str]
    modes: tuple[Mode, ...]


@cache
def uses() -> list[Use]:
    """Raises AssertionError for a pattern that cannot be read from the source."""
    return [use for module, tree in modules() for use in _uses_in(module, tree)]


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Names and sources of all modules of the product."""
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), _parsed(file)


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _uses_in(module: str, tree: ast.Module) -> Iterator[Use]:
    names = {id(node.value): _name(node) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.ImportFrom) and node.module == "re"), f"{module}: import re itself"
        if not (isinstance(node, ast.Call) and _is_of_re(node.func)):
            continue
        assert isinstance(node.func, ast.Attribute)
        function = node.func.attr
        if function == "compile":
            pattern = _value(module, node)
            name = names.get(id(node), "")
            yield Use(f"{module}:{name or pattern.pattern}", pattern, _modes_of(name))
        elif function in MODES:
            pattern = re.compile(_value(module, node.args[0]), _flags(module, node, function))
            yield Use(f"{module}:{pattern.pattern}", pattern, (MODES[function],))
        else:
            assert function in ("escape", "error", "Match"), f"{module}: re.{function} is not known here"


def _is_of_re(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
    )


def _name(assignment: ast.Assign) -> str:
    target = assignment.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _modes_of(name: str) -> tuple[Mode, ...]:
    """How a pattern of this name is used, in whichever module; one without a name is searched for."""
    if not name:
        return ("search",)
    return tuple(sorted(_modes_by_name()[name])) or ("search", "fullmatch")


@cache
def _modes_by_name() -> defaultdict[str, set[Mode]]:
    found = defaultdict[str, set[Mode]](set)
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in MODES:
                found[_last_name(node.value)].add(MODES[node.attr])
    return found


def _last_name(value: ast.expr) -> str:
    if isinstance(value, ast.Name):
        return value.id
    return value.attr if isinstance(value, ast.Attribute) else ""


def _flags(module: str, call: ast.Call, function: str) -> int:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "flags"]
    positional = call.args[2:] if function in ("match", "fullmatch", "search", "findall", "finditer") else []
    return int(_value(module, [*named, *positional][0])) if named or positional else 0


def _value(module: str, expression: ast.expr) -> Any:
    """Of an expression at the top of its module."""
    code = compile(ast.Expression(expression), module, "eval")
    try:
        return eval(code, vars(importlib.import_module(module)))  # noqa: S307 - the product's own source
    except NameError as error:
        raise AssertionError(
            f"{module}: write the pattern of {ast.unparse(expression)} at the top level"
        ) from error
