"""The workers of a soak, one of which is killed by SIGKILL after every few videos and replaced."""

import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.product import House

TRANSFERS = 8  # at once, by each worker


@dataclass
class Crew:
    """``every`` counts videos that ended: by the clock, a slow machine would kill workers that have done nothing yet.

    ``at_once`` says that the dead one's leases are taken to be over at once.
    """

    house: House
    seed: int
    every: int
    at_once: bool
    workers: int = 2
    kills: int = 0
    _stacks: list[ExitStack] = field(default_factory=list)
    _last: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - the same ones for the same seed

    def __enter__(self) -> Self:
        self._stacks = [self._started() for _ in range(self.workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stack in self._stacks:
            stack.close()

    def kill_if_due(self, ended: int) -> None:
        if abs(ended - self._last) < self.every:  # it sinks when failed ones are tried again
            return
        self._last = ended
        self.kills += 1
        place = self._dice.randrange(self.workers)
        self._stacks[place].close()  # a House ends its workers by SIGKILL
        if self.at_once:
            self.house.leases_run_out()
        self._stacks[place] = self._started()

    def _started(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(self.house.worker(TRANSFERS))
        return stack
