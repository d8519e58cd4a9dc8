"""Addresses of people, as far as anybody needs to know them."""

import pytest

from videovault.services.core import client_ip


@pytest.mark.parametrize(
    ("address", "network", "counted"),
    [
        ("198.51.100.7", "198.51.100.0/24", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.0/24", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::/48", "fe80::/64"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48", "2001:db8:1:2::/64"),
        ("testclient", "unknown", ""),
        ("", "unknown", ""),
    ],
)
def test_an_address_tells_where_and_not_who(address: str, network: str, counted: str) -> None:
    assert client_ip.anonymize(address) == network
    assert client_ip.rate_limit_key(address) == counted
