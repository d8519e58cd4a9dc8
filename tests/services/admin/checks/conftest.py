"""A fixture that runs one check."""

from collections.abc import Callable

import pytest

from videovault.services.admin import checks
from videovault.services.admin.checks import CheckView
from videovault.services.core.access import Caller

Check = Callable[[str], CheckView]


@pytest.fixture
def check(anna: Caller) -> Check:
    """Runs one check for Anna, the installation's admin, with three jobs in the queue."""
    return lambda name: checks.start(anna, name, jobs_waiting=lambda: 3).result()
