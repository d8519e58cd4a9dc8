"""Expressions over state vars, which a type checker sees as plain values, and sentences with links in them."""

import re
from typing import Any

import reflex as rx

# Options of Intl.DateTimeFormat.
DATE = "{dateStyle: 'medium'}"
DATE_TIME = "{dateStyle: 'medium', timeStyle: 'short'}"
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def has(mapping: Any, key: Any) -> rx.Var[bool]:
    """Whether a dict var has this key."""
    return rx.Var.create(mapping).to(dict).contains(key)


def is_empty(values: Any) -> rx.Var[bool]:
    return rx.Var.create(values).to(list).length() == 0


def local_time(moment: Any, options: str) -> rx.Var[str]:
    """An ISO time in the browser's time zone and locale; ``options`` are those of Intl.DateTimeFormat."""
    return _script(moment, f"new Date({moment!s}).toLocaleString(undefined, {options})")


def _script(source: Any, expression: str) -> rx.Var[str]:
    data = rx.Var.create(source)._get_all_var_data()  # noqa: SLF001 - the new var must carry its source's data
    return rx.Var(expression, _var_type=str, _var_data=data)


def sentence(template: str, **parts: Any) -> rx.Component:
    """The sentence with a component, such as a link, in place of each ``{name}``."""
    texts = PLACEHOLDER.split(template)
    shown = [parts[text] if number % 2 else text for number, text in enumerate(texts)]
    return rx.fragment(*(part for part in shown if not isinstance(part, str) or part))
