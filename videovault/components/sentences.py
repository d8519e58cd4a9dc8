"""Whole sentences with something in their midst that is more than text."""

import re
from typing import Any

import reflex as rx

PLACE = re.compile(r"\{(\w+)\}")


def sentence(template: str, **parts: Any) -> rx.Component:
    """The sentence with the part of that name at each ``{name}``: a link, a bold word."""
    texts = PLACE.split(template)
    shown = [parts[text] if number % 2 else text for number, text in enumerate(texts)]
    return rx.fragment(*(part for part in shown if not isinstance(part, str) or part))
