"""All texts of the pages: without jargon, whole sentences (for translation), each in one place."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from videovault.state.account import BROWSERS, SYSTEMS

PRODUCT = Path(__file__).parents[2] / "videovault"
SHOWN = ("components", "pages", "state")  # the layers whose texts only users read
LETTERS = re.compile(r"[^\W\d_]{2}")
# Matches sentences and labels, but not class names, addresses and field names.
PROSE = re.compile(r"[“{]?[A-Z][a-z]*(?=\W|$).*|.*\s.*[.?:…]", re.DOTALL)
JARGON = re.compile(
    r"\b(?:s3|payload|null|none|exception|invalid|webhook|presigned?|multipart|bucket|object|row|callback|session|"
    r"token|uuid|json|http|api|endpoint|heartbeat|enqueued?|upstream|timeout|log ?in|log ?out)s?\b",
    re.IGNORECASE,
)
# Readers of admin pages and of API tokens know the technical terms.
TECHNICAL = re.compile(r"admin|account\.py")
PRODUCT_NAMES = {*BROWSERS.values(), *SYSTEMS.values()}
TECHNICAL_PHRASES = {"{n} objects", "1 object"}
# Arguments that are not shown.
NOT_SHOWN = {"class_name", "id", "name", "key", "type", "custom_attrs", "d", "tick_formatter", "pattern"}


@dataclass(frozen=True)
class Source:
    path: str
    tree: ast.Module


@dataclass(frozen=True)
class Found:
    place: str
    words: str


def read(path: str, code: str) -> Source:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined] # which ast leaves out
    return Source(path, tree)


SOURCES = [
    read(str(file.relative_to(PRODUCT)), file.read_text())
    for layer in SHOWN
    for file in sorted((PRODUCT / layer).rglob("*.py"))
]


def template(node: ast.AST) -> str:
    """The text of a literal; an f-string with ``{}`` for each value."""
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_words(node: ast.AST) -> bool:
    """Whether it is a literal that contains a word; addresses do not count."""
    text = template(node)
    return bool(LETTERS.search(text)) and not text.startswith("/")


def texts(source: Source) -> Iterator[Found]:
    """The texts that users read."""
    for node in ast.walk(source.tree):
        words = template(node)
        if PROSE.fullmatch(words) and LETTERS.search(words) and not is_not_shown(node):
            yield Found(f"{source.path}:{getattr(node, 'lineno', 0)}", words)


def is_not_shown(node: ast.AST) -> bool:
    """A docstring, a part of an f-string, a type, or the name of a JavaScript component."""
    parent = getattr(node, "parent", None)
    if isinstance(parent, ast.Assign):
        return ast.unparse(parent.targets[0]) in ("tag", "library")
    if isinstance(parent, ast.keyword):
        return parent.arg in NOT_SHOWN
    return isinstance(
        parent, ast.Expr | ast.JoinedStr | ast.Subscript | ast.BinOp | ast.FunctionDef | ast.arg
    )


def glued_children(source: Source) -> Iterator[Found]:
    """Literals with other content beside them: a translator would see only pieces of the sentence."""
    for call in ast.walk(source.tree):
        if not isinstance(call, ast.Call) or not holds_children(call):
            continue
        shown = [child for child in call.args if not ast.unparse(child).startswith("icon(")]
        if len(shown) > 1 and any(map(is_literal, shown)):
            yield Found(f"{source.path}:{call.lineno}", ast.unparse(call)[:80])


def holds_children(call: ast.Call) -> bool:
    """Whether its positional arguments are shown next to each other."""
    name = ast.unparse(call.func)
    return name.startswith("rx.el.") or name == "rx.fragment" or name.endswith(".create")


def is_literal(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr | ast.Constant) and isinstance(template(node) or None, str)


def glued_strings(source: Source) -> Iterator[Found]:
    """Texts joined by ``+``, by ``join``, or by a choice inside an f-string."""
    for node in ast.walk(source.tree):
        if any(map(is_words, pieces(node))):
            yield Found(f"{source.path}:{getattr(node, 'lineno', 0)}", ast.unparse(node)[:80])


def pieces(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [left, right]
        case ast.Call(func=ast.Attribute(value=ast.Constant() as between, attr="join"), args=args):
            return [between, *(piece for given in args for piece in ast.iter_child_nodes(given))]
        case ast.FormattedValue(value=ast.IfExp(body=one, orelse=other)):
            return [one, other]
        case ast.FormattedValue(value=ast.Call(args=args)):
            return list(args)
        case _:
            return []


def plurals(source: Source) -> Iterator[Found]:
    """Most languages do not form the plural by an ending."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.IfExp) and {template(node.body), template(node.orelse)} & {"s", "es"}:
            yield Found(f"{source.path}:{node.lineno}", ast.unparse(node))


Check = Callable[[Source], Iterator[Found]]


def everywhere(check: Check) -> list[Found]:
    return [found for source in SOURCES for found in check(source)]


def test_sentences_are_whole() -> None:
    assert [found for check in (glued_children, glued_strings, plurals) for found in everywhere(check)] == []


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (glued_children, "rx.el.p('It works until ', local_time(at), '.')"),
        (glued_children, "rx.el.p(question, ' ', rx.el.a(text, href=link))"),
        (glued_children, "rx.el.p(f'Hello {name}', rx.el.b('you'))"),
        (glued_strings, "text = 'Deleted: ' + title"),
        (glued_strings, "text = ' and '.join(names)"),
        (glued_strings, "text = ' '.join(['It broke.', 'Try again.'])"),
        (glued_strings, 'text = f\'{number} {"video" if number == 1 else "videos"} ready\''),
        (glued_strings, "text = f'{counted(number, \"video\")} ready'"),
        (plurals, 'text = f\'{number} video{"" if number == 1 else "s"}\''),
    ],
)
def test_glued_text_is_found(check: Check, code: str) -> None:
    assert list(check(read("a.py", code)))


@pytest.mark.parametrize(
    "code",
    [
        "rx.el.p(f'Nothing found for “{State.text}”')",
        "rx.el.p(sentence('New here? {link}', link=rx.el.a('Create account')), class_name='soft')",
        "rx.el.button(icon('play'), 'Play')",
        "text = ', '.join(names)",
        "address = '/login?' + query",
    ],
)
def test_whole_text_is_accepted(code: str) -> None:
    source = read("a.py", code)
    assert [*glued_children(source), *glued_strings(source), *plurals(source)] == []


def test_no_exclamation_marks() -> None:
    assert [text for text in everywhere(texts) if re.search(r"\w!", text.words)] == []


def test_no_jargon() -> None:
    plain = [text for text in everywhere(texts) if not TECHNICAL.search(text.place)]
    assert [text for text in plain if JARGON.search(text.words) and text.words not in TECHNICAL_PHRASES] == []


def test_each_text_is_in_one_place() -> None:
    places = defaultdict(list)
    for text in everywhere(texts):
        if text.words not in PRODUCT_NAMES:
            places[text.words].append(text.place)
    assert {words: found for words, found in places.items() if len(found) > 1} == {}
