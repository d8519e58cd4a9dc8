"""The certificate authorities that all outgoing connections trust."""

import os
import ssl
from functools import lru_cache

import httpcore

# Read when a context is created, so they are part of the cache key.
CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context(authority: str = "") -> ssl.SSLContext:
    """Trusts the system's authorities (and ``SSL_CERT_FILE``) and certifi's, or only those in the file ``authority``.

    Shared by all connections: loading the certificates takes tens of milliseconds.
    """
    return _context(authority, *(os.environ.get(name, "") for name in CA_VARIABLES))


@lru_cache(maxsize=4)
def _context(authority: str, *_environment: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority) if authority else httpcore.default_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
