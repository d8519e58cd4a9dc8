"""Decides by its structure whether a regular expression takes at most linear time on any text.

Method: Python's matcher backtracks, so what it does to a text is to walk the paths of the pattern's automaton, one step
a character. The tree that ``re`` itself parses (``re._parser``) becomes an automaton of the positions of the pattern
(Glushkov), its counted repeats written out; a search has a loop over any character in front. The number of paths over
a text of n characters is bounded by a constant, and so the number of steps by c·n, unless

* a state p lies on two different loops that read the same word: exponential (Weber and Seidl 1991, criterion EDA); or
* two states p ≠ q and a word v exist with paths p-v->p, p-v->q and q-v->q: at least quadratic (criterion IDA).

Both are decided exactly, on products of the automaton with itself, and the word found is what an attacker would repeat.
No clock and no sample text is involved. The automaton takes more paths than the matcher: assertions are passed by, those
that look ahead are walked and lead nowhere, atomic groups count as ordinary ones. So "linear" is never said in error, and
"not linear" perhaps. One refinement keeps it useful: unless all of the text has to match, an attempt that has come to a
state where the match could end right there cannot fail any more, and a search does not read again what it has read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, Literal

# Internal names of Python 3.11's re: its own parser is the only one that cannot disagree with it.
from re import _constants as op  # isort: skip
from re import _parser as parser  # isort: skip

Mode = Literal["search", "match", "fullmatch"]
# One character of each kind that patterns tell apart, beside all of ASCII: letter, digit, blank, sign, line break.
OTHERS = "é٣\u2003€\u2028"
MOST_COPIES = 600


@dataclass
class Part:
    """A piece of the automaton; ``ends`` are where it can end, ``sure`` where it can do so whatever follows."""

    nullable: bool = True
    surely_nullable: bool = True
    first: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    sure: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Fault:
    """``pump`` is what to repeat in a text that makes the pattern slow."""

    growth: Literal["exponential", "polynomial"]
    pump: str


def fault(pattern: re.Pattern[str], mode: Mode) -> Fault | None:
    """What makes ``pattern`` take more than linear time in this way of matching; None if nothing does."""
    return _Automaton(pattern, mode).fault()


class _Automaton:
    def __init__(self, pattern: re.Pattern[str], mode: Mode) -> None:
        self._flags = pattern.flags
        text = pattern.pattern
        self._text = text if isinstance(text, str) else text.decode("latin-1")
        self._alphabet: list[str] = sorted({*map(chr, range(128)), *OTHERS, *self._text})
        self._any = (1 << len(self._alphabet)) - 1
        self._masks: list[int] = []
        self._follow: list[list[int]] = []
        self._charsets: dict[str, int] = {}
        tree = list(parser.parse(self._text, self._flags & ~re.DEBUG))
        start: list[int] = []
        if mode == "search" and not self._is_anchored(tree):
            start = self._prefix(tree)
        whole = self._sequence(tree)
        for state in start:
            self._follow[state] += whole.first
        self._certain = set() if mode == "fullmatch" else whole.sure

    def fault(self) -> Fault | None:
        return self._exponential() or self._polynomial()

    # The automaton.

    def _is_anchored(self, tree: list[Any]) -> bool:
        begins = tree and tree[0][0] is op.AT and tree[0][1] in (op.AT_BEGINNING, op.AT_BEGINNING_STRING)
        return bool(begins) and not (self._flags & re.MULTILINE and tree[0][1] is op.AT_BEGINNING)

    def _prefix(self, tree: list[Any]) -> list[int]:
        """The loop over what a search passes by; the states from which the pattern may begin."""
        before = self._any
        if (
            tree
            and tree[0][0] in (op.ASSERT, op.ASSERT_NOT)
            and tree[0][1][0] == -1
            and len(tree[0][1][1]) == 1
        ):
            looked_for = self._charset(*tree[0][1][1][0])
            before = looked_for if tree[0][0] is op.ASSERT else self._any & ~looked_for
        states = [self._state(mask) for mask in (before, self._any & ~before) if mask]
        for state in states:
            self._follow[state] += states
        return states[:1]

    def _state(self, mask: int) -> int:
        self._masks.append(mask)
        self._follow.append([])
        return len(self._masks) - 1

    def _sequence(self, tree: Iterable[Any]) -> Part:
        whole = Part()
        for code, argument in tree:
            whole = self._concatenated(whole, self._part(code, argument))
        return whole

    def _concatenated(self, one: Part, two: Part) -> Part:
        for end in one.ends:
            self._follow[end] += two.first
        return Part(
            nullable=one.nullable and two.nullable,
            surely_nullable=one.surely_nullable and two.surely_nullable,
            first=one.first + (two.first if one.nullable else []),
            ends=two.ends + (one.ends if two.nullable else []),
            sure=two.sure | (one.sure if two.surely_nullable else set()),
        )

    def _part(self, code: Any, argument: Any) -> Part:
        if code in (op.SUBPATTERN, op.ATOMIC_GROUP):
            return self._sequence(argument[3] if code is op.SUBPATTERN else argument)
        if code is op.BRANCH:
            return self._either([self._sequence(branch) for branch in argument[1]])
        if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            return self._repeated(*argument)
        if code is op.AT:
            return Part(surely_nullable=False)
        if code in (op.ASSERT, op.ASSERT_NOT):
            ahead = self._sequence(argument[1]).first if argument[0] == 1 else []
            return Part(surely_nullable=False, first=ahead)
        state = self._state(self._charset(code, argument))
        return Part(False, False, [state], [state], {state})

    @staticmethod
    def _either(parts: list[Part]) -> Part:
        return Part(
            nullable=any(part.nullable for part in parts),
            surely_nullable=any(part.surely_nullable for part in parts),
            first=[state for part in parts for state in part.first],
            ends=[state for part in parts for state in part.ends],
            sure=set().union(*(part.sure for part in parts)),
        )

    def _repeated(self, least: int, most: Any, body: Any) -> Part:
        whole = Part()
        for _ in range(max(0, least - 1)):
            whole = self._concatenated(whole, self._sequence(body))
        if most is op.MAXREPEAT:
            loop = self._sequence(body)
            for end in loop.ends:
                self._follow[end] += loop.first
            return self._concatenated(whole, loop if least else self._optional(loop))
        if least:
            whole = self._concatenated(whole, self._sequence(body))
        rest = Part()
        for _ in range(most - least):
            rest = self._optional(self._concatenated(self._sequence(body), rest))
        assert len(self._masks) < MOST_COPIES * 10, "too many copies of a counted repeat"
        return self._concatenated(whole, rest)

    @staticmethod
    def _optional(part: Part) -> Part:
        return Part(True, True, part.first, part.ends, part.sure)

    # Which characters a state reads, a bit for each of the alphabet.

    def _charset(self, code: Any, argument: Any) -> int:
        key = repr((code, argument))  # a counted repeat has hundreds of copies of one
        if key not in self._charsets:
            self._charsets[key] = sum(
                1 << i for i, char in enumerate(self._alphabet) if self._reads(code, argument, char)
            )
        return self._charsets[key]

    def _reads(self, code: Any, argument: Any, char: str) -> bool:
        cases = {char, char.lower(), char.upper()} if self._flags & re.IGNORECASE else {char}
        return any(self._reads_exactly(code, argument, case) for case in cases if len(case) == 1)

    def _reads_exactly(self, code: Any, argument: Any, char: str) -> bool:
        if code is op.LITERAL:
            return bool(ord(char) == argument)
        if code is op.NOT_LITERAL:
            return bool(ord(char) != argument)
        if code is op.ANY:
            return char != "\n" or bool(self._flags & re.DOTALL)
        if code is op.RANGE:
            return bool(argument[0] <= ord(char) <= argument[1])
        if code is op.CATEGORY:
            return self._is_in_category(argument, char)
        if code is op.IN:
            negated = argument[0][0] is op.NEGATE
            listed = argument[1:] if negated else argument
            return negated != any(self._reads_exactly(kind, value, char) for kind, value in listed)
        raise NotImplementedError(f"{code} is not understood: write {self._text!r} without it")

    def _is_in_category(self, category: Any, char: str) -> bool:
        kind = str(category).removeprefix("CATEGORY_").removeprefix("NOT_")
        escape = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[kind]
        found = re.fullmatch(escape, char, self._flags & re.ASCII) is not None
        return found != ("NOT_" in str(category))

    # Loops.

    @cached_property
    def _after(self) -> list[int]:
        """For each state the bits of those that can come after it: a fixed point, found in a few sweeps both ways."""
        after, before = [0] * len(self._masks), None
        order = list(range(len(after)))
        while after != before:
            before = list(after)
            for state in [*order, *reversed(order)]:
                for following in self._follow[state]:
                    if self._masks[following]:
                        after[state] |= 1 << following | after[following]
        return after

    def _reaches(self, one: int, two: int) -> bool:
        return bool(self._after[one] >> two & 1)

    def _loop(self, state: int) -> set[int]:
        """The states from which ``state`` can be reached, and that it reaches; empty if it is on no loop."""
        if not self._reaches(state, state):
            return set()
        return {
            other
            for other in range(len(self._masks))
            if self._reaches(state, other) and self._reaches(other, state)
        }

    def _doubtful_loop(self, state: int) -> set[int]:
        """The same, by states that the match cannot end at: all that a matcher may have to try again."""
        if state in self._certain:
            return set()
        doubtful = self._loop(state) - self._certain
        after = {s: self._closure(s, doubtful) for s in doubtful}
        return {s for s in doubtful if s in after[state] and state in after[s]}

    def _closure(self, state: int, within: set[int]) -> set[int]:
        found: set[int] = set()
        waiting = [state]
        while waiting:
            fresh = (set(self._follow[waiting.pop()]) & within) - found
            found |= fresh
            waiting += fresh
        return found

    def _exponential(self) -> Fault | None:
        for state in range(len(self._masks)):
            loop = self._doubtful_loop(state)
            if loop:
                twice = next((s for s in loop for t in loop if self._follow[s].count(t) > 1), None)
                word = (
                    ""
                    if twice is not None
                    else self._word((state, state), (state, state), (loop, loop), True)
                )
                if word is not None:
                    return Fault("exponential", word)
        return None

    def _polynomial(self) -> Fault | None:
        states = range(len(self._masks))
        loops = {state: loop for state in states if (loop := self._loop(state))}
        doubtful = {state: loop for state in states if (loop := self._doubtful_loop(state))}
        for p, q in product(loops, doubtful):
            if p == q or not self._reaches(p, q):
                continue
            between = {state for state in states if self._reaches(p, state) and self._reaches(state, q)}
            word = self._word((p, p, q), (p, q, q), (loops[p], between, doubtful[q]), False)
            if word is not None:
                return Fault("polynomial", word)
        return None

    def _word(
        self, start: tuple[int, ...], goal: tuple[int, ...], within: tuple[set[int], ...], apart: bool
    ) -> str | None:
        """A word that leads every component from ``start`` to ``goal`` at once; ``apart``: by different states once."""
        seen: dict[tuple[tuple[int, ...], bool], str] = {(start, not apart): ""}
        waiting = [(start, not apart)]
        while waiting:
            states, parted = node = waiting.pop(0)
            for after, mask in self._steps(states, within):
                reached = (after, parted or len(set(after)) > 1)
                word = seen[node] + self._alphabet[mask.bit_length() - 1]
                if reached == (goal, True):
                    return word
                if reached not in seen:
                    seen[reached] = word
                    waiting.append(reached)
        return None

    def _steps(
        self, states: tuple[int, ...], within: tuple[set[int], ...]
    ) -> Iterator[tuple[tuple[int, ...], int]]:
        choices = [set(self._follow[state]) & allowed for state, allowed in zip(states, within, strict=True)]
        for after in product(*choices):
            mask = self._any
            for state in after:
                mask &= self._masks[state]
            if mask:
                yield after, mask
