"""Client IP addresses: as rate limits count them, and as logs may keep them."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
SITE_BITS = 64  # the smallest IPv6 network of one customer, who may use any address in it
# Providers also assign a /56 or a /48 to one customer. Several customers may share one, so its limit is higher.
IPV6_FACTORS = {SITE_BITS: 1, 56: 4, 48: 16}


def parse_address(text: str) -> Address | None:
    """The address, IPv4 also where a dual-stack socket shows it inside an IPv6 one; None for anything else."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def rate_limit_key(text: str) -> str:
    """Rate-limit key for a client address: an IPv4 address or the network of an IPv6 one; empty for no address."""
    address = parse_address(text)
    return _network(address, SITE_BITS) if isinstance(address, IPv6Address) else str(address or "")


def rate_limit_networks(counted: str) -> list[tuple[str, int]]:
    """The networks in which an address or ``rate_limit_key`` is counted, smallest first, each with its limit's factor."""
    address = parse_address(counted.partition("/")[0])
    if isinstance(address, IPv6Address):
        return [(_network(address, bits), factor) for bits, factor in IPV6_FACTORS.items()]
    return [(str(address or ""), 1)]


def anonymize(text: str) -> str:
    """The address without its last part (/24, /48), which gives the network but not the person."""
    address = parse_address(text)
    return _network(address, 24 if address.version == 4 else 48) if address else "unknown"


def is_in_networks(address: Address | None, networks: Collection[IPv4Network | IPv6Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _network(address: Address, bits: int) -> str:
    return str(ip_network((address, bits), strict=False))
