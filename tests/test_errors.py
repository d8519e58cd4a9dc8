"""The documented error tree is complete."""

import re

from videovault import errors


def descendants(kind: type[Exception]) -> set[type[Exception]]:
    own = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return {kind}.union(*(descendants(child) for child in own))


def test_every_error_is_in_the_tree() -> None:
    drawn = set(re.findall(r"[A-Z]\w+", str(errors.__doc__)))
    assert {kind.__name__ for kind in descendants(errors.VideoVaultError)} <= drawn
