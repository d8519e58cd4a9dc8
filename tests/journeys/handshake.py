"""The first step of the pages' socket, made by hand so that it can come from anywhere."""

import base64
import http.client
import os
from urllib.parse import urlsplit

from tests.support.waiting import HANG_SECONDS


def handshake(url: str, origin: str) -> int:
    """The status of the answer to a page at ``origin`` that opens the socket of the app at ``url``."""
    headers = {
        "Origin": origin,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=HANG_SECONDS)
    try:
        connection.request("GET", "/_event/?EIO=4&transport=websocket", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
