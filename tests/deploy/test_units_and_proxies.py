"""The systemd units are valid and confined, and the proxies' examples are accepted and fit the product's limits."""

import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import httpx
import pytest

from tests.support.app import ROOT, free_port
from tests.support.certificates import CERTIFICATE, certificates
from tests.support.services import configure_nginx, nginx_in
from videovault.__main__ import COMMANDS
from videovault.api.middleware.body_limit import MAX_BODY_BYTES
from videovault.config import Settings

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
NGINX, CADDY = ROOT / "deploy" / "nginx.conf", ROOT / "deploy" / "Caddyfile"
MAX_EXPOSURE = 20  # tenths; systemd calls up to 4.0 "OK"
STORE_WAIT = Settings.model_fields["store_wait_seconds"].default
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd is not installed here"
)
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed here")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@needs_systemd
def test_units_are_valid(tmp_path: Path) -> None:
    """As far as systemd says without a /opt/videovault."""
    for unit in UNITS:
        shutil.copy(unit, tmp_path)
    done = run("systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir())))
    said = [
        line for line in done.stderr.splitlines() if "/opt/videovault/.venv/bin/python is not" not in line
    ]
    assert said == []


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_are_confined(unit: Path) -> None:
    done = run(
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        f"--threshold={MAX_EXPOSURE}",
        str(unit),
    )
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_start_a_role_and_wait_for_its_end(unit: Path) -> None:
    text = unit.read_text()
    role = re.search(r"^ExecStart=.* -m videovault (\S+)", text, re.MULTILINE)
    assert role
    assert role[1] in COMMANDS
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    if role[1] == "worker":
        assert stop
        assert int(stop[1]) > Settings.model_fields["webhook_timeout_seconds"].default


def test_a_worker_has_a_number_of_its_own() -> None:
    """WORKERS may be 0 in a file that the app shares."""
    text = (ROOT / "deploy" / "systemd" / "videovault-worker.service").read_text()
    name = re.search(r"--concurrency \$\{(\w+)\}", text)
    assert name
    assert name[1].lower() not in Settings.model_fields
    assert re.search(rf"^Environment={name[1]}=[1-9]\d*$", text, re.MULTILINE)


@needs_nginx
def test_nginx_accepts_the_example(tmp_path: Path) -> None:
    certificates(tmp_path, "videos.example.com")
    certificate = tmp_path / CERTIFICATE
    text = NGINX.read_text()
    text = re.sub(r"ssl_certificate +\S+;", f"ssl_certificate {certificate};", text)
    text = re.sub(r"ssl_certificate_key +\S+;", f"ssl_certificate_key {certificate};", text)
    text = re.sub(r"(listen (?:\[::\]:)?)(?:80|443)\b", lambda found: f"{found[1]}{free_port()}", text)
    (tmp_path / "videovault.conf").write_text(text)
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\nhttp {{ access_log off; include {tmp_path}/videovault.conf; }}"
    )
    done = run("nginx", "-t", "-q", "-p", str(tmp_path), "-c", str(main))
    assert (done.returncode, done.stderr) == (0, "")


class DyingReplica(BaseHTTPRequestHandler):
    """Reads a request and hangs up, as a replica does that is killed."""

    received: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.received.append(self.command)
        self.close_connection = True

    def do_POST(self) -> None:
        self.do_GET()


@needs_nginx
@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1)])
def test_nginx_sends_no_post_to_a_second_replica(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, times: int
) -> None:
    monkeypatch.setattr(DyingReplica, "received", [])
    url = f"http://127.0.0.1:{free_port()}"
    proxy = nginx_in(tmp_path, url)
    with ExitStack() as stack:
        replicas = [ThreadingHTTPServer(("127.0.0.1", 0), DyingReplica) for _ in range(2)]
        for replica in replicas:
            stack.callback(replica.server_close)
            stack.callback(replica.shutdown)
            Thread(target=replica.serve_forever, daemon=True).start()
        configure_nginx(proxy, url, [str(replica.server_port) for replica in replicas])
        proxy.ready = lambda: accepts(url)
        stack.callback(proxy.close)
        proxy.start()
        assert httpx.request(method, f"{url}/api/any").status_code == 502
    assert DyingReplica.received == [method] * times


def accepts(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0


def test_caddy_accepts_the_example() -> None:
    done = run(
        str(Path(sys.executable).with_name("caddy")),
        "validate",
        "--config",
        str(CADDY),
        "--adapter",
        "caddyfile",
    )
    assert done.returncode == 0, done.stderr[-1000:]


def test_proxies_allow_what_the_product_does() -> None:
    nginx, caddy = NGINX.read_text(), CADDY.read_text()
    assert f"client_max_body_size {MAX_BODY_BYTES // 1024**2}m;" in nginx
    assert f"max_size {MAX_BODY_BYTES // 1024**2}MiB" in caddy
    for pattern, text in ((r"proxy_read_timeout (\d+)s", nginx), (r"response_header_timeout (\d+)s", caddy)):
        found = re.search(pattern, text)
        assert found
        assert int(found[1]) > STORE_WAIT


@pytest.mark.parametrize(
    "header", ["Host", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "Upgrade"]
)
def test_nginx_passes_what_the_product_reads(header: str) -> None:
    assert re.search(rf"proxy_set_header {header} +\$\w+;", NGINX.read_text())
