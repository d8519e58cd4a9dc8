"""Known browsers and addresses have their own limit that attackers cannot exhaust; IPv6 is counted by networks."""

import time
from collections.abc import Callable, Iterator

import pytest
from limits.storage import RedisStorage

from tests.support.installation import Configure
from videovault import security
from videovault.errors import NotSignedIn, RateLimited
from videovault.services.core import client_ip, rate_limits

pytestmark = pytest.mark.thorough

ADA, EVE, HOME = "ada@example.com", "eve@example.com", "203.0.113.7"
# One provider's customers: the first two numbers stand for a /48, the third for a /64 of it.
SITE = "2001:db8:{}:{:x}::1"


@pytest.fixture(params=["memory", "Redis"], autouse=True)
def _storage(request: pytest.FixtureRequest, configure: Configure) -> Iterator[None]:
    """An empty storage for the counts."""
    configure()
    if request.param == "Redis":
        configure(REDIS_URL=request.getfixturevalue("redis_url"))
    yield
    storage = rate_limits.limiter()._shared.storage
    storage.reset()
    if isinstance(storage, RedisStorage):
        storage.storage.close()


def guess(address: str = HOME, device: str = "", email: str = ADA) -> int:
    """Try a wrong password: 0, or the seconds to wait if it was throttled."""
    try:
        with rate_limits.login(email, address, device):
            raise NotSignedIn  # noqa: TRY301 - as accounts.login does
    except NotSignedIn:
        return 0
    except RateLimited as error:
        return error.retry_after


def sign_in(address: str = HOME, email: str = ADA) -> str:
    """Sign in with the right password; the device cookie."""
    with rate_limits.login(email, address):
        pass
    return security.device_cookie(email)


def botnet(tries: Callable[[str], object]) -> None:
    """Exceed the account's limit, with a new address for each attempt."""
    for number in range(110):
        tries(f"198.51.100.{number}")


def test_a_known_address_can_sign_in_while_a_botnet_guesses() -> None:
    sign_in()
    botnet(guess)
    assert guess("192.0.2.1") > 0
    assert guess(HOME) == 0
    sign_in(HOME)


def test_a_known_browser_can_sign_in_from_any_address() -> None:
    device = sign_in()
    botnet(guess)
    assert guess("192.0.2.1", device) == 0
    assert guess("192.0.2.1") > 0


def test_a_known_browser_has_its_own_limit_beside_an_attacker_at_the_same_address() -> None:
    device = sign_in()
    for number in range(100):
        guess(email=f"{number}@example.com")
    for _ in range(6):
        guess()
    assert guess() > 0
    assert guess(HOME, device) == 0


def test_a_known_browser_has_no_more_attempts_than_others() -> None:
    device = sign_in()
    assert [bool(guess("192.0.2.1", device)) for _ in range(6)] == [False] * 5 + [True]


def test_a_forged_cookie_or_one_of_another_account_or_purpose_has_no_effect() -> None:
    others = sign_in("192.0.2.9", EVE)
    forged = security.sign("visit", [security.token_hash(ADA), "nonce"])
    botnet(guess)
    for device in (others, forged, str(security.DEVICE_SECONDS), "", "a.b.c", "x" * 4000):
        assert guess("192.0.2.1", device) > 0, device


def test_a_device_cookie_expires_after_half_a_year(monkeypatch: pytest.MonkeyPatch) -> None:
    device, later = sign_in(), time.time() + security.DEVICE_SECONDS + 60
    assert security.device_nonce(device, ADA)
    monkeypatch.setattr(time, "time", lambda: later)
    assert security.device_nonce(device, ADA) == ""


def test_known_addresses_per_account_are_bounded() -> None:
    for number in range(30):
        sign_in(f"192.0.2.{number}")
    botnet(guess)
    assert sum(guess(f"192.0.2.{number}") == 0 for number in range(30)) == 20


def test_reset_emails_requested_by_others_do_not_block_the_owner() -> None:
    device = sign_in()
    botnet(lambda address: refused(address, ""))
    assert refused("192.0.2.1", "")
    assert not refused(HOME, "")
    assert not refused("192.0.2.1", device)
    assert [refused("192.0.2.1", device) for _ in range(3)] == [False, False, True]


def test_an_ipv6_customer_cannot_evade_limits_by_switching_networks() -> None:
    """A /48 has 65,536 networks of 64 bits: together they have 16 times the limit of one."""
    parts = [number % 256 * 256 + number // 256 for number in range(16 * 20 + 5)]  # each /56 in turn
    tried = [wrong_key(SITE.format(1, part)) for part in parts]
    assert tried == [True] * 16 * 20 + [False] * 5
    assert wrong_key(SITE.format(2, 0))


def test_attempts_on_one_account_are_counted_by_network_too() -> None:
    """A /56 with 256 networks of 64 bits has four times the limit of one: 20 per minute."""
    assert [guess(SITE.format(3, number)) == 0 for number in range(25)] == [True] * 20 + [False] * 5
    assert guess(SITE.format(4, 0)) == 0


def test_attempts_refused_for_a_network_are_not_counted_for_its_subnets() -> None:
    for number in range(20):
        guess(SITE.format(3, number))
    for _ in range(10):
        assert guess(SITE.format(3, 0x20)) > 0
    # Another /56 of the same /48 has its own limit.
    assert guess(SITE.format(3, 0x100)) == 0


@pytest.mark.parametrize(
    ("counted", "levels"),
    [
        ("198.51.100.7", [("198.51.100.7", 1)]),
        ("", [("", 1)]),
        (
            "2001:db8:1:2ff::/64",
            [("2001:db8:1:2ff::/64", 1), ("2001:db8:1:200::/56", 4), ("2001:db8:1::/48", 16)],
        ),
    ],
)
def test_an_address_is_counted_in_each_network_that_may_be_one_customer(
    counted: str, levels: list[tuple[str, int]]
) -> None:
    assert client_ip.rate_limit_networks(counted) == levels


def refused(address: str, device: str) -> bool:
    try:
        rate_limits.check_reset_email(ADA, address, device)
    except RateLimited:
        return True
    return False


def wrong_key(address: str) -> bool:
    """Whether an attempt with a wrong share key is throttled."""
    try:
        rate_limits.check_address(rate_limits.WRONG_KEYS, "share", client_ip.rate_limit_key(address))
    except RateLimited:
        return False
    return True
