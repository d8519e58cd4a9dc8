"""The stages of the Dockerfile, each in a clean folder, and what they make, started as a container would."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.app import ROOT, free_port
from tests.support.dockerfile import copy_context, stages
from tests.support.installation import s3_in_memory
from tests.support.services import example_for_nginx
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can drop rights"),
]
STAGES = stages()
FINAL = STAGES["final"]
INSTALL_SECONDS = 900
KEPT = {"PATH", "HOME", "LANG"}
PAGES = ("build/client", "backend", "videovault.stamp")
BODY_TOO_LARGE = 413


def run_in(folder: Path, command: str) -> None:
    """Run a RUN command of the Dockerfile in ``folder``, which stands for /app."""
    kept = {name: os.environ[name] for name in os.environ if name in KEPT or name.startswith("PIP_")}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=kept | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def test_packages_stage_installs_the_lock(tmp_path: Path) -> None:
    copy_context(STAGES["packages"], tmp_path)
    for command in STAGES["packages"].commands:
        run_in(tmp_path, command)
    run_in(tmp_path, ".venv/bin/python -c 'import reflex, granian, psycopg, redis, av'")


@dataclass(frozen=True)
class Image:
    """What the final stage holds, in a folder that its user cannot write."""

    app: Path
    data: Path

    @contextmanager
    def container(self, *command: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process of the image's entry point with the image's environment, and data of its own."""
        data = Path(settings.pop("DATA_DIR", "") or self.data / f"data-{time.monotonic_ns()}")
        data.mkdir(mode=0o700)
        with (self.data / f"{command[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                self.without_rights(*FINAL.list_of("ENTRYPOINT")[1:], *command),
                cwd=self.app,
                env=self.environment(DATA_DIR=str(data), **settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.without_rights(*arguments),
            cwd=self.app,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def without_rights(self, *arguments: str) -> list[str]:
        """Root without any capability may write only where an ordinary user may; other users may not use this Python."""
        return ["setpriv", "--bounding-set=-all", sys.executable, *arguments]

    def environment(self, **settings: str) -> dict[str, str]:
        own = {name: value for name, value in FINAL.environment.items() if name != "PATH"}
        return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **own, **settings}

    def said(self) -> str:
        return "\n".join(log.read_text(errors="replace")[-3000:] for log in self.data.glob("*.log"))


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The pages are built by the stage's own command; the packages are those of this environment."""
    folder = Path(tempfile.mkdtemp(prefix="videovault-image-"))  # pytest's own is closed to other users
    folder.chmod(0o755)
    pages, app, data = folder / "pages", folder / "app", folder / "data"
    try:
        copy_context(STAGES["pages"], pages)
        (pages / ".venv").symlink_to(Path(sys.executable).parent.parent)
        run_in(pages, STAGES["pages"].commands[-1])
        copy_context(FINAL, app)
        for name in PAGES:
            target = app / ".web" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(pages / ".web" / name, target)
        stamp_for(app)
        data.mkdir(mode=0o755)
        for path in (app, *app.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield Image(app, data)
    finally:
        shutil.rmtree(folder)


def stamp_for(app: Path) -> None:
    """In the image both stages have the same path, which the stamp of the pages names; here they have not."""
    program = "from videovault.embedded import frontend as f; (f.web_dir() / f.STAMP).write_text(f.stamp())"
    subprocess.run([sys.executable, "-c", program], cwd=app, check=True, timeout=120)


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """The settings of a bucket that `bucket setup` has yet to create, and of no generators."""
    with s3_in_memory() as url:
        yield {
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_S3_BUCKET_NAME": "films",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SCRIPT_WEBHOOK_URL": "",
            "VIDEO_WEBHOOK_URL": "",
            "SECRET_KEY": "kX2vR8mQ1nT5wL7zB4cJ9dF6gH3sA0pY",
        }


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_run_needs_no_rights_and_writes_into_data_dir_only(image: Image) -> None:
    port = str(free_port())
    before = files(image.app)
    with image.container("run", PORT=port) as process:
        eventually(lambda: process.poll() is not None or healthy(image, "web", PORT=port), image.said)
        assert process.poll() is None, image.said()
        assert httpx.get(f"http://localhost:{port}/", follow_redirects=True).status_code == 200
        assert httpx.get(f"http://localhost:{port}/readyz").json()["status"] == "ok"
    assert files(image.app) == before
    assert not healthy(image, "web", PORT=port)


@pytest.fixture
def shared(bucket: dict[str, str], postgres_url: str, redis_url: str) -> dict[str, str]:
    """What all processes of an installation have in common; its proxy has a free port."""
    return {
        **bucket,
        "DATABASE_URL": postgres_url,
        "QUEUE_URL": redis_url.replace("/0", "/1"),
        "REDIS_URL": redis_url,
        "PUBLIC_URL": f"http://localhost:{free_port()}",
    }


def test_roles_make_one_installation(image: Image, shared: dict[str, str]) -> None:
    """`migrate` and `bucket setup`, then two `web` behind each proxy and a `worker`; the doctor finds nothing broken."""
    proxies = [proxy for name, proxy in PROXIES.items() if shutil.which(name)]
    if not proxies:
        pytest.skip("neither nginx nor Caddy is installed here")
    proxy_port, ports = int(shared["PUBLIC_URL"].rpartition(":")[2]), [free_port(), free_port()]
    own = {"DATA_DIR": str(image.data / "first")}
    migrated = image.run("-m", "videovault", "migrate", **shared, DATA_DIR=str(image.data / "migrate"))
    assert migrated.returncode == 0
    assert image.run("-m", "videovault", "bucket", "setup", **shared).returncode == 0
    with ExitStack() as stack:
        for port, settings in zip(ports, (own, {}), strict=True):
            stack.enter_context(image.container("web", **shared, **settings, PORT=str(port)))
        stack.enter_context(image.container("worker", "--concurrency", "2", **shared))
        for port in ports:
            eventually(partial(healthy, image, "web", PORT=str(port)), image.said)
        for proxy in proxies:
            with proxy(image.data, proxy_port, ports):
                check_through_proxy(image, shared | own)


def check_through_proxy(image: Image, settings: dict[str, str]) -> None:
    found = eventually_sound(image, settings)
    assert {check["name"]: check["found"] for check in found["checks"] if check["state"] == "broken"} == {}
    states = {check["name"]: check["state"] for check in found["checks"]}
    expected = ("websocket", "same-version", "workers", "redis", "queue-connection", "secret-key", "callback")
    assert {name: states[name] for name in expected} == dict.fromkeys(expected, "ok")
    workers = next(check["found"] for check in found["checks"] if check["name"] == "workers")
    assert "for 2 transfers at once" in workers
    too_large = httpx.post(f"{settings['PUBLIC_URL']}/api/auth/login", content=bytes(1024**2 + 1))
    assert too_large.status_code == BODY_TOO_LARGE


def eventually_sound(image: Image, settings: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """The doctor's report, once the worker has registered."""
    reports: list[dict[str, list[dict[str, str]]]] = []

    def is_sound() -> bool:
        done = image.run("-m", "videovault", "doctor", "--json", **settings, WORKERS="0")
        reports.append(json.loads(done.stdout))
        return done.returncode < 2

    eventually(is_sound, lambda: json.dumps(reports[-1], indent=1) + image.said())
    return reports[-1]


def healthy(image: Image, role: str, **settings: str) -> bool:
    return image.run("deploy/healthcheck.py", role, **settings).returncode == 0


@contextmanager
def nginx(folder: Path, port: int, upstreams: list[int]) -> Iterator[None]:
    """deploy/nginx.conf, without TLS, on these ports."""
    (folder / "videovault.conf").write_text(example_for_nginx(str(port), map(str, upstreams)))
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}}\n"
        f"http {{ access_log off; include {folder}/videovault.conf; }}"
    )
    with running(folder, port, "nginx", "-p", str(folder), "-c", str(main)):
        yield


@contextmanager
def caddy(folder: Path, port: int, upstreams: list[int]) -> Iterator[None]:
    """deploy/Caddyfile, without TLS."""
    chosen = {
        "DOMAIN": f"http://localhost:{port}",
        "UPSTREAM": " ".join(f"127.0.0.1:{each}" for each in upstreams),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    file = str(ROOT / "deploy" / "Caddyfile")
    with running(folder, port, "caddy", "run", "--config", file, "--adapter", "caddyfile", **chosen):
        yield


PROXIES = {"nginx": nginx, "caddy": caddy}


@contextmanager
def running(folder: Path, port: int, program: str, *arguments: str, **environment: str) -> Iterator[None]:
    """The proxy, once it accepts connections."""
    log = folder / f"{program}.said"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [shutil.which(program) or "", *arguments],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: accepts(port), log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
