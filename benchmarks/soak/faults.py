"""Injected faults: a tenth of all calls to generator, sources and S3 fail, at random with a fixed seed."""

import random
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from threading import Lock

from tests.support.generator import Order
from tests.support.generator_modes import Mode
from tests.support.misbehaving_server import MIB, ServerBehaviour
from tests.support.s3_proxy import HANG_UP, Refusal
from tests.support.world import World

SHARE = 0.1
KINDS = ("webhook", "source", "S3")
LARGE_SHARE, LARGE_BYTES = 0.04, 10 * MIB  # more than one part
SMALL_BYTES = (20_000, 300_000)

USUAL: tuple[Mode, ...] = ("direct", "callback", "poll")
WEBHOOK: dict[str, Mode] = {
    "429 with Retry-After": "busy",
    "500": "break",
    "422": "refuse",
    "script rejected": "rejected",
    "render failed": "failed",
    "no answer, and never a callback": "cut",
    "an answer that is no JSON, and never a callback": "malformed",
    "its callback comes twice": "callback_twice",
    "its callback comes before its answer": "callback_first",
    "callbacks failed, ready, processing": "disorder",
}
SOURCE: dict[str, Callable[[ServerBehaviour], ServerBehaviour]] = {
    "the connection is reset once": lambda well: replace(well, drop_after=_length(well) // 2, drop_times=1),
    "every connection is reset": lambda well: replace(well, drop_after=5_000),
    "silence in the middle": lambda well: replace(well, stall_after=_length(well) // 2),
    "503": lambda well: replace(well, status=503, body=b"busy"),
    "404": lambda well: replace(well, status=404, body=b"gone"),
    "a web page": lambda well: replace(well, body=b"<!doctype html>" * 1000, content_type="text/html"),
    "cut short": lambda well: replace(well, declared=_length(well) + 1_000, ranges=False),
}
S3: dict[str, Refusal | None] = {
    "503 SlowDown": (503, "SlowDown"),
    "500 InternalError": (500, "InternalError"),
    "the connection ends without an answer": HANG_UP,
    "the answer to what was done gets lost": None,
}


@dataclass
class Faults:
    """``calls`` by kind (webhook, source, S3), ``injected`` faults by kind and name."""

    world: World
    seed: int
    calls: Counter[str] = field(default_factory=Counter)
    injected: Counter[tuple[str, str]] = field(default_factory=Counter)
    _over: bool = False
    _films: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._usual = random.Random(self.seed)  # noqa: S311 - the same faults for the same seed
        # One generator per kind, so that its tenth call has the same result in any order of calls.
        self._random = {kind: random.Random(f"{self.seed} {kind}") for kind in KINDS}  # noqa: S311 - as above

    def begin(self) -> None:
        self.world.generator.choose = self._behaviour
        self.world.generator.address = self._address
        self.world.proxy.choose = self._refusal

    def end(self) -> None:
        """Stop injecting faults."""
        self._over = True
        self.world.proxy.lose_answer.clear()
        self.heal_sources()

    def heal_sources(self) -> None:
        """Serve every rendered video without faults."""
        for path, video_id in list(self._films.items()):
            self.world.source.serve(path, ServerBehaviour(body=film(self.world, video_id)))

    def _behaviour(self, _order: Order) -> Mode:
        fault = self._next("webhook", WEBHOOK)
        return WEBHOOK[fault] if fault else self._usual.choice(USUAL)

    def _address(self, video_id: str) -> str:
        path = f"/{video_id}.mp4"
        if path in self._films:  # requested again, by a second callback or poll
            return self.world.source.origin + path
        self._films[path] = video_id
        well, fault = ServerBehaviour(body=film(self.world, video_id)), self._next("source", SOURCE)
        return self.world.source.serve(path, SOURCE[fault](well) if fault else well)

    def _refusal(self, operation: str) -> Refusal | None:
        fault = self._next("S3", S3)
        if fault and S3[fault] is None:
            self.world.proxy.lose_answer.add(operation)
        return S3[fault] if fault else None

    def _next(self, kind: str, known: Iterable[str]) -> str | None:
        """The fault of this call, if any."""
        with self._lock:
            self.calls[kind] += 1
            if self._over or self._random[kind].random() >= SHARE:
                return None
            fault = self._random[kind].choice(list(known))
            self.injected[kind, fault] += 1
            return fault


def film(world: World, video_id: str) -> bytes:
    """The render of a video: a real film followed by random data of its own that players ignore."""
    generator = random.Random(video_id)  # noqa: S311 - the same bytes each time
    size = LARGE_BYTES if generator.random() < LARGE_SHARE else generator.randrange(*SMALL_BYTES)
    return world.film + struct.pack(">I4s", size + 8, b"free") + generator.randbytes(size)


def _length(behaviour: ServerBehaviour) -> int:
    return len(behaviour.body or b"")
