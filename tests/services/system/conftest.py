"""An admin, and a short way to one check."""

from collections.abc import Callable

import pytest

from videovault.services import system
from videovault.services.access import Caller
from videovault.services.system import CheckView

Check = Callable[[str], CheckView]


@pytest.fixture
def check(anna: Caller) -> Check:
    """Runs one check for Anna, the installation's admin, with three jobs in the queue."""
    return lambda name: system.check(anna, name, jobs_waiting=lambda: 3)
