"""The certificate authorities that all connections to others trust."""

import os
import ssl
from functools import lru_cache

import httpcore

# A context is made of these when it is created; a change asks for another one.
CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context(authority: str = "") -> ssl.SSLContext:
    """The system's authorities (``SSL_CERT_FILE`` counts) and certifi's, or those in the file ``authority`` alone.

    Shared by all connections: reading the certificates takes tens of milliseconds.
    """
    return _context(authority, *(os.environ.get(name, "") for name in CA_VARIABLES))


@lru_cache(maxsize=4)
def _context(authority: str, *_chosen: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority) if authority else httpcore.default_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
