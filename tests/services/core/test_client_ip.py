"""Client addresses in the form that logs and rate limits use."""

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
def test_an_anonymized_address_gives_the_network_only(address: str, network: str, counted: str) -> None:
    assert client_ip.anonymize(address) == network
    assert client_ip.rate_limit_key(address) == counted
