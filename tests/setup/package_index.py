"""A package index on loopback, and empty wheels with the metadata of the real packages."""

import base64
import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, distribution

LOCKED_LINE = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\$")


@dataclass(frozen=True)
class Wheel:
    """One file of the index."""

    name: str
    version: str
    content: bytes

    @property
    def file_name(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def empty_wheel(
    name: str, version: str, *, requires: Iterable[str] = (), extras: Iterable[str] = ()
) -> Wheel:
    """A wheel without code; ``requires`` holds requirement specifiers, ``extras`` the names it provides."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{folder}/METADATA": ("\n".join(lines) + "\n").encode(),
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_record_digest(content)},{len(content)}\n" for path, content in files.items())
    files[f"{folder}/RECORD"] = (record + f"{folder}/RECORD,,\n").encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            archive.writestr(
                zipfile.ZipInfo(path), content
            )  # a fixed date, so that the digest is reproducible
    return Wheel(name, version, packed.getvalue())


def empty_wheel_of(name: str, version: str) -> Wheel:
    """The same with the requirements and extras of the installed package ``name``, if it is installed."""
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        return empty_wheel(name, version)
    extras = installed.metadata.get_all("Provides-Extra") or []
    return empty_wheel(name, version, requires=installed.requires or [], extras=extras)


def _record_digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


@dataclass
class PackageIndex:
    """The address of the index, and the names of the fetched files."""

    url: str
    fetched: list[str] = field(default_factory=list)


@contextmanager
def serving(wheels: Iterable[Wheel]) -> Iterator[PackageIndex]:
    """Serve ``wheels`` by the simple repository API (PEP 503) inside the block."""
    files = {wheel.file_name: wheel for wheel in wheels}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # otherwise each body is delayed by 40 ms

        def do_GET(self) -> None:
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "simple":
                links = (
                    f'<a href="/files/{wheel.file_name}#sha256={wheel.digest}">{wheel.file_name}</a>'
                    for wheel in files.values()
                    if wheel.name == name
                )
                self._answer("text/html", "<br>".join(links).encode())
            elif name in files:
                index.fetched.append(name)
                self._answer("application/octet-stream", files[name].content)
            else:
                self.send_error(404)

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Requests are recorded in ``fetched``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = PackageIndex(f"http://127.0.0.1:{server.server_port}/simple")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
