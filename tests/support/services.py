"""The services of a test's cluster: PostgreSQL, Redis, an S3 and nginx, each as a ``Part``."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import redis

from tests.support.app import free_port
from tests.support.part import Part
from tests.support.postgres import ACCOUNT, server_programs

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
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream replicas {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        listen [::1]:{port};
        client_max_body_size 20m;
        location /assets/ {{  # during an upgrade, only one of the replicas has the files of a page
            proxy_pass http://replicas;
            proxy_set_header Host $http_host;
            proxy_next_upstream error timeout http_404;
            proxy_connect_timeout 2s;
        }}
        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_connect_timeout 2s;
            proxy_read_timeout 700s;
        }}
    }}
}}
"""


@contextmanager
def running_postgres() -> Iterator[Part]:
    """With fsync: what it has confirmed survives its own kill. As its own account, which it insists on."""
    folder = Path(tempfile.mkdtemp(prefix="videovault-cluster-"))  # pytest's folder is closed to that account
    programs, account = server_programs(), ACCOUNT if os.geteuid() == 0 else None
    if account:
        os.chown(folder, pwd.getpwnam(account).pw_uid, -1)
    data, port = folder / "data", free_port()
    initdb = (
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        ACCOUNT,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    )
    subprocess.run(initdb, cwd=folder, user=account, check=True, stdout=subprocess.DEVNULL)
    options = {
        "port": port,
        "unix_socket_directories": folder,
        "listen_addresses": "127.0.0.1",
        "max_connections": 200,
    }
    url = f"postgresql://{ACCOUNT}@127.0.0.1:{port}/postgres"
    command = (
        str(programs / "postgres"),
        "-D",
        str(data),
        *(f"--{name}={value}" for name, value in options.items()),
    )
    part = Part(
        "postgres",
        command,
        folder,
        folder / "log",
        lambda: _connects(url),
        {"URL": url},
        signal.SIGINT,
        account,
    )
    (folder / "log").touch()
    try:
        part.start()
        yield part
    finally:
        part.close()
        shutil.rmtree(folder)


@contextmanager
def running_redis(folder: Path) -> Iterator[Part]:
    """It writes each change to disk, so that a kill loses nothing."""
    port = free_port()
    options = (
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--dir",
        str(folder),
    )
    part = service("redis", folder, "redis-server", *options)
    part.environment["URL"] = f"redis://127.0.0.1:{port}"
    part.ready = lambda: _pings(port)
    yield from _while_running(part)


@contextmanager
def running_s3(folder: Path) -> Iterator[Part]:
    """moto, which keeps everything in memory: it may be frozen, but not restarted."""
    port = free_port()
    part = service("s3", folder, sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    part.environment["URL"] = f"http://127.0.0.1:{port}"
    part.ready = lambda: listens(part.environment["URL"])
    yield from _while_running(part)


def _while_running(part: Part) -> Iterator[Part]:
    try:
        part.start()
        yield part
    finally:
        part.close()


def service(name: str, folder: Path, *command: str) -> Part:
    folder.mkdir(parents=True, exist_ok=True)
    return Part(name, command, folder, folder / "log", ready=lambda: True)


def nginx_in(folder: Path, url: str) -> Part:
    """Listens at ``url`` once ``configure_nginx`` has told it the replicas."""
    part = service("nginx", folder, "nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr")
    part.ready = lambda: listens(url)
    part.stop_signal = signal.SIGQUIT
    return part


def configure_nginx(nginx: Part, url: str, ports: Iterable[str]) -> None:
    """Round robin over replicas on these ports."""
    text = NGINX.format(
        folder=nginx.root,
        port=url.rpartition(":")[2],
        user="user root;" if os.geteuid() == 0 else "",
        servers=" ".join(f"server 127.0.0.1:{port} fail_timeout=2s;" for port in ports),
    )
    (nginx.root / "nginx.conf").write_text(text)


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=2).status_code == 200
    return False


def listens(url: str) -> bool:
    """Whether something answers there, be it with an error."""
    with suppress(httpx.TransportError):
        return bool(httpx.get(url, timeout=2).status_code)
    return False


def _connects(url: str) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2).close()
        return True
    return False


def _pings(port: int) -> bool:
    with redis.Redis(port=port, socket_timeout=2) as client, suppress(redis.RedisError):
        return bool(client.ping())
    return False
