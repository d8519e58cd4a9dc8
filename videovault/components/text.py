"""Small expressions over state vars, which to a type checker are plain values."""

import re
from typing import Any

import reflex as rx


def has(mapping: Any, key: Any) -> rx.Var[bool]:
    """Whether a dict var has this key."""
    return rx.Var.create(mapping).to(dict).contains(key)


def is_empty(values: Any) -> rx.Var[bool]:
    return rx.Var.create(values).to(list).length() == 0


def local_time(moment: Any, options: str) -> rx.Var[str]:
    """An ISO time in the person's own zone and habit; ``options`` are those of Intl.DateTimeFormat."""
    return _script(moment, f"new Date({moment!s}).toLocaleString(undefined, {options})")


def _script(source: Any, expression: str) -> rx.Var[str]:
    data = rx.Var.create(source)._get_all_var_data()  # noqa: SLF001 - what an expression must bring along
    return rx.Var(expression, _var_type=str, _var_data=data)


# Whole sentences with something in their midst that is more than text.

PLACE = re.compile(r"\{(\w+)\}")


def sentence(template: str, **parts: Any) -> rx.Component:
    """The sentence with the part of that name at each ``{name}``: a link, a bold word."""
    texts = PLACE.split(template)
    shown = [parts[text] if number % 2 else text for number, text in enumerate(texts)]
    return rx.fragment(*(part for part in shown if not isinstance(part, str) or part))
