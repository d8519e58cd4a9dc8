"""The proxy of SOURCE_PROXY. It is given the checked IP address, so it cannot resolve the name differently."""

import base64
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import h11
import httpx

from videovault.errors import SourceError
from videovault.gateways.http_exchange import Exchange
from videovault.gateways.socket_stream import SocketStream, Timeout
from videovault.gateways.ssrf import system_resolver


class Proxy:
    """``http://[user:password@]host[:port]``, used by CONNECT for HTTPS and plain HTTP alike."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._headers = (
            [("Proxy-Authorization", _basic_auth(parts.username, parts.password))] if parts.username else []
        )

    def connect(self, addresses: Sequence[str], port: int, timeout: Timeout) -> SocketStream:
        """A connection to the first of the addresses that the proxy can reach.

        Raises SourceError, which names the setting but not its value, and what ``stop`` raises.
        """
        *others, last = addresses
        for address in others:
            try:
                return self._open_tunnel(address, port, timeout)
            except SourceError:
                continue
        return self._open_tunnel(last, port, timeout)

    def _open_tunnel(self, address: str, port: int, timeout: Timeout) -> SocketStream:
        try:
            connection = SocketStream.connect(system_resolver(self._host, self._port), self._port, timeout)
        except (OSError, httpx.TransportError) as error:
            raise SourceError("The proxy cannot be reached: check SOURCE_PROXY.", retryable=True) from error
        try:
            self._request_tunnel(
                connection, f"[{address}]:{port}" if ":" in address else f"{address}:{port}", timeout
            )
        except httpx.TransportError as error:
            connection.close()
            raise SourceError("The proxy did not answer: check SOURCE_PROXY.", retryable=True) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _request_tunnel(self, connection: SocketStream, target: str, timeout: Timeout) -> None:
        """Request the tunnel. No bytes follow the proxy's response: in HTTP and TLS the client speaks first."""
        request = h11.Request(method="CONNECT", target=target, headers=[("Host", target), *self._headers])
        status = Exchange(connection, request, timeout).request().status_code
        if not 200 <= status < 300:
            raise _refused(status)


def _basic_auth(user: str | None, password: str | None) -> str:
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _refused(status: int) -> SourceError:
    if status == 407:
        return SourceError("The proxy requires another user or password: check SOURCE_PROXY.")
    if status >= 500:
        return SourceError(f"The proxy could not reach the source (HTTP {status}).", retryable=True)
    return SourceError(f"The proxy does not allow access to the source (HTTP {status}): check SOURCE_PROXY.")
