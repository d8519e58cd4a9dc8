"""A proxy that was set on purpose: what is fetched through it still comes from the address that was checked."""

import base64
import ipaddress
import time
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import h11
import httpx

from videovault.errors import SourceError
from videovault.gateways.response_body import next_event
from videovault.gateways.socket_stream import SocketStream, Timeout
from videovault.gateways.ssrf import system_resolver

HEAD_BYTES = 16 * 1024


class Proxy:
    """``http://[user:password@]host[:port]``, asked by CONNECT for encrypted and open connections alike."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._headers = (
            [("Proxy-Authorization", _basic(parts.username, parts.password))] if parts.username else []
        )

    def connect(self, addresses: Sequence[str], port: int, patience: Timeout) -> SocketStream:
        """A connection to the first of the addresses that the proxy lets us reach.

        Raises SourceError, which names the setting and no more of it, and what ``stop`` raises.
        """
        *others, last = addresses
        for address in others:
            try:
                return self._tunnel(address, port, patience)
            except SourceError:
                continue
        return self._tunnel(last, port, patience)

    def _tunnel(self, address: str, port: int, patience: Timeout) -> SocketStream:
        try:
            wire = SocketStream.connect(system_resolver(self._host, self._port), self._port, patience)
        except (OSError, httpx.TransportError) as error:
            raise SourceError("The proxy cannot be reached: check SOURCE_PROXY.", retryable=True) from error
        try:
            self._ask(wire, f"[{address}]:{port}" if _is_v6(address) else f"{address}:{port}", patience)
        except httpx.TransportError as error:
            wire.close()
            raise SourceError("The proxy did not answer: check SOURCE_PROXY.", retryable=True) from error
        except BaseException:
            wire.close()
            raise
        return wire

    def _ask(self, wire: SocketStream, target: str, patience: Timeout) -> None:
        """Have it connected; behind its answer the other side is silent until it is spoken to."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        request = h11.Request(method="CONNECT", target=target, headers=[("Host", target), *self._headers])
        data = (parser.send(request) or b"") + (parser.send(h11.EndOfMessage()) or b"")
        wire.send(data, patience)
        end, buffer = time.monotonic() + patience.seconds, memoryview(bytearray(HEAD_BYTES))
        while not isinstance(event := next_event(parser), h11.Response):
            if event is h11.NEED_DATA:
                count = wire.receive(buffer, patience.stop)
                if count is not None:
                    parser.receive_data(bytes(buffer[:count]))
            if time.monotonic() > end:
                raise httpx.ConnectTimeout("the proxy took too long")
        if not 200 <= event.status_code < 300:
            raise _refused(event.status_code)


def _basic(user: str | None, password: str | None) -> str:
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _is_v6(address: str) -> bool:
    return ipaddress.ip_address(address).version == 6


def _refused(status: int) -> SourceError:
    if status == 407:
        return SourceError("The proxy wants another user or password: check SOURCE_PROXY.")
    if status >= 500:
        return SourceError(f"The proxy could not reach the source (HTTP {status}).", retryable=True)
    return SourceError(f"The proxy does not let us reach the source (HTTP {status}): check SOURCE_PROXY.")
