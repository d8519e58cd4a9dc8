"""The effect of attacks on a normal user: `python -m benchmarks.hostile`, on loopback only, writes HOSTILE.md.

`--later 0` measures the final memory at once instead of after ten minutes; `--only silent,flood` runs some attacks;
both only print.
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import httpx

from benchmarks.process_usage import RunFailed, memory_of, serving_process
from benchmarks.results import machine, now
from tests.support.app import RunningApp, running_app
from tests.support.attackers import ATTACKER, BEGINNINGS, connections, load
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.raw_tab import HYDRATE, NAMESPACE, RawTab, Refused

CONNECTIONS, PAGES = 2000, 300
CLICKS = 40
TRANSFER = 64 * MIB
FILM = 32 * MIB
LATER_SECONDS = 600.0
FILE = Path(__file__).parent / "HOSTILE.md"
PREFACE = """\
# What a user notices of attacks

Written by `python -m benchmarks.hostile`: one normal user of the running product, on loopback, during each attack. A click is an
event of an open page until its answer; playback and transfer are of that user's own videos. Memory is that of the web process.
"""
PASSWORD = "a long enough one"  # noqa: S105 - of an account of this benchmark
EVENT = f'42{NAMESPACE}["event",{{"name":"{HYDRATE}","payload":{{}},"router_data":{{"pathname":"/login"}}}}]'


@dataclass(frozen=True)
class Figures:
    """``click`` is the p95 in seconds; ``playback`` and ``transfer`` in bytes per second; ``memory`` in bytes."""

    attack: str
    click: float
    playback: float
    transfer: float
    memory: int

    def __str__(self) -> str:
        speeds = f"{self.playback / 1e6:.0f} | {self.transfer / 1e6:.0f}"
        return f"| {self.attack} | {self.click * 1000:.0f} | {speeds} | {self.memory / 1e6:.0f} |"


class User:
    """A signed-in user with an open page and a stored video."""

    def __init__(self, app: RunningApp, source: MisbehavingServer) -> None:
        self._app, self._source, self._stored = app, source, 0
        self._email = "user@example.com"
        account = {"email": self._email, "password": PASSWORD}
        answer = httpx.post(f"{app.url}/api/auth/register", json=account, timeout=60).raise_for_status()
        token = answer.json()["data"]["token"]
        self._api = httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {token}"}, timeout=300)
        self.page = RawTab(app.url, cookie=f"videovault_session={token}")
        load(self.page, HYDRATE)
        self._film = self._store(FILM)[0]

    def measure(self, attack: str) -> Figures:
        clicks = [self._click() for _ in range(CLICKS)]
        _, seconds = self._store(TRANSFER)
        memory = memory_of(serving_process(self._app.process.pid), "VmRSS")
        return Figures(attack, quantiles(clicks, n=20)[-1], FILM / self._play(), TRANSFER / seconds, memory)

    def _click(self) -> float:
        started = time.monotonic()
        self.page.answers()
        return time.monotonic() - started

    def _play(self) -> float:
        """The seconds for the whole video, requested as by a player."""
        started = time.monotonic()
        address = f"/api/auth/video/{self._film}/download?inline=1"
        with self._api.stream("GET", address, follow_redirects=True) as answer:
            size = sum(len(chunk) for chunk in answer.raise_for_status().iter_bytes())
        if size != FILM:
            raise RunFailed(f"{size} bytes of a video of {FILM} were played")
        return time.monotonic() - started

    def _store(self, size: int) -> tuple[str, float]:
        """Store a new video; returns its id and the seconds that it took."""
        self._stored += 1
        link = self._source.serve(f"/film{self._stored}.mp4", ServerBehaviour(size=size))
        started = time.monotonic()
        body = {"videoUrl": link, "userEmail": self._email}
        answer = self._api.post("/api/auth/video/download", json=body).raise_for_status()
        return str(answer.json()["data"]["videoId"]), time.monotonic() - started


@contextmanager
def _pages(app: RunningApp) -> Iterator[None]:
    """Pages without a session, each with as much state as a message may contain."""
    with ExitStack() as opened:
        for _ in range(PAGES):
            with suppress(Refused):
                load(opened.enter_context(RawTab(app.url, source=ATTACKER)), HYDRATE, filler=15_000)
        yield


@contextmanager
def _sending(app: RunningApp, send: Callable[[RawTab], None]) -> Iterator[None]:
    """One attacker that sends without a pause and reconnects when the socket is closed."""
    stop = threading.Event()

    def attack() -> None:
        while not stop.is_set():
            with suppress(OSError), RawTab(app.url, source=ATTACKER) as tab:
                while not stop.is_set():
                    send(tab)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        yield
    finally:
        stop.set()
        attacker.join(60)


def _fragments(tab: RawTab) -> None:
    tab.say("x" * 65_536, finished=False)


Attack = Callable[[RunningApp], AbstractContextManager[object]]
ATTACKS: dict[str, Attack] = {
    "none": lambda _app: nullcontext(),
    **{
        f"{CONNECTIONS} connections: {kind}": lambda app, beginning=beginning: connections(  # type: ignore[misc]
            app.url, CONNECTIONS, beginning
        )
        for kind, beginning in BEGINNINGS.items()
    },
    f"{PAGES} pages without a session": _pages,
    "a flood of events": lambda app: _sending(app, lambda tab: tab.say(EVENT)),
    "an endless message in fragments": lambda app: _sending(app, _fragments),
}


def main() -> None:
    chosen = _options()
    wanted = [part.strip() for part in chosen.only.split(",") if part.strip()]
    names = [name for name in ATTACKS if not wanted or any(part in name for part in wanted)]
    with TemporaryDirectory(prefix="videovault-bench-") as folder, MisbehavingServer() as source:
        allowed = f"127.0.0.1:{source.port}"
        with running_app(Path(folder) / "var", SOURCE_ALLOW_HOSTS=allowed) as app:
            lines = list(_measure(app, User(app, source), names, chosen.later))
    if chosen.later == LATER_SECONDS and not wanted:
        heading = f"{PREFACE}\n- Date: {now()}\n- Machine: {machine()}\n"
        FILE.write_text("\n".join([heading, *lines]) + "\n")


def _measure(app: RunningApp, user: User, names: Sequence[str], later: float) -> Iterator[str]:
    """The lines of the document, which are printed as they come."""
    server = serving_process(app.process.pid)
    before = memory_of(server, "VmRSS")
    yield _shown(
        "| attack | click, p95 (ms) | playback (MB/s) | transfer (MB/s) | memory (MB) |\n|---|---|---|---|---|"
    )
    for name in names:
        with ATTACKS[name](app):
            yield _shown(str(user.measure(name)))
    after = memory_of(server, "VmRSS")
    time.sleep(later)
    yield _shown(
        f"\nMemory of the web process: {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after all of it, "
        f"{memory_of(server, 'VmRSS') / 1e6:.0f} MB {later:.0f} s later."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--later", type=float, default=LATER_SECONDS, metavar="SECONDS")
    parser.add_argument("--only", default="", metavar="silent,flood")
    return parser.parse_args()


def _shown(line: str) -> str:
    print(line, flush=True)
    return line


if __name__ == "__main__":
    main()
