"""How many connections and page sockets clients may have open, and how much one socket may send."""

from pydantic import Field
from pydantic_settings import BaseSettings

MAX_WEBSOCKET_MESSAGE_BYTES = 64 * 1024  # a page sends a few KB at most


class ConnectionSettings(BaseSettings):
    """The part of the settings that limits connections."""

    max_connections: int = Field(
        8000,
        ge=100,
        description="Open connections in total; fewer if the system allows less than twice as many open files.",
    )
    max_connections_per_address: int = Field(
        1500,
        ge=10,
        description="Open connections of one client address (IPv6: of one /64 network). An office of 50 people with a "
        "dozen tabs each needs about 900. Proxies in FORWARDED_ALLOW_IPS are exempt, the clients behind them are not.",
    )
    max_anonymous_sockets: int = Field(
        1000, ge=10, description="Open pages whose visitors are not signed in, in total."
    )
    max_anonymous_sockets_per_address: int = Field(
        400, ge=1, description="Open pages whose visitors are not signed in, of one client address."
    )
