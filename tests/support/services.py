"""An S3 and nginx of a test's cluster, each as a ``Part``."""

import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.app import ROOT, free_port
from tests.support.part import Part, running

EXAMPLE_SERVER = "server 127.0.0.1:3000 max_fails=1 fail_timeout=2s;"
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {example}
}}
"""


@contextmanager
def running_s3(folder: Path) -> Iterator[Part]:
    """moto, which keeps everything in memory: it may be frozen, but not restarted."""
    port = free_port()
    part = service("s3", folder, sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    part.environment["URL"] = f"http://127.0.0.1:{port}"
    part.ready = lambda: listens(part.environment["URL"])
    with running(part):
        yield part


def service(name: str, folder: Path, *command: str) -> Part:
    folder.mkdir(parents=True, exist_ok=True)
    return Part(name, command, folder, folder / "log", ready=lambda: True)


def nginx_in(folder: Path, url: str) -> Part:
    """Listens at ``url`` once ``configure_nginx`` has told it the replicas."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")  # where Debian keeps it
    if program is None:
        pytest.skip("nginx is not installed here")
    part = service("nginx", folder, program, "-c", str(folder / "nginx.conf"), "-e", "stderr")
    part.ready = lambda: listens(url)
    part.stop_signal = signal.SIGQUIT
    return part


def configure_nginx(nginx: Part, url: str, ports: Iterable[str]) -> None:
    """Round robin over replicas on these ports, as deploy/nginx.conf says."""
    user = "user root;" if os.geteuid() == 0 else ""
    example = example_for_nginx(url.rpartition(":")[2], ports)
    (nginx.root / "nginx.conf").write_text(NGINX.format(folder=nginx.root, user=user, example=example))


def example_for_nginx(port: str, upstreams: Iterable[str]) -> str:
    """deploy/nginx.conf without TLS, on these ports of this machine."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    assert EXAMPLE_SERVER in text
    text = text.replace(EXAMPLE_SERVER, " ".join(EXAMPLE_SERVER.replace("3000", each) for each in upstreams))
    plain = text[text.index("    listen 443") :]
    text = text[: text.index("server {\n    listen 80")] + "server {\n" + plain
    text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")
    text = text.replace("listen [::]:443 ssl http2;", f"listen [::1]:{port};")
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("ssl_certificate"))


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=2).status_code == 200
    return False


def listens(url: str) -> bool:
    """Whether something answers there, be it with an error."""
    with suppress(httpx.TransportError):
        return bool(httpx.get(url, timeout=2).status_code)
    return False
