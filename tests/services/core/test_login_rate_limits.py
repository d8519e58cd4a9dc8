"""Who signed in before keeps an allowance that no flood of strangers uses up; IPv6 is counted by its networks."""

import time
from collections.abc import Callable, Iterator

import pytest
from limits.storage import RedisStorage

from tests.support.installation import Configure
from videovault import security
from videovault.errors import NotSignedIn, RateLimited
from videovault.services.core import client_ip, rate_limits

ADA, EVE, HOME = "ada@example.com", "eve@example.com", "203.0.113.7"
# One provider's customers: the first two numbers stand for a /48, the third for a /64 of it.
SITE = "2001:db8:{}:{:x}::1"


@pytest.fixture(params=["memory", "Redis"], autouse=True)
def _storage(request: pytest.FixtureRequest, configure: Configure) -> Iterator[None]:
    """Where attempts are counted, empty."""
    configure()
    if request.param == "Redis":
        configure(REDIS_URL=request.getfixturevalue("redis_url"))
    yield
    storage = rate_limits.limiter()._shared.storage
    storage.reset()
    if isinstance(storage, RedisStorage):
        storage.storage.close()


def guess(address: str = HOME, device: str = "", email: str = ADA) -> int:
    """One wrong password: 0, or the seconds to wait before it would have been looked at."""
    try:
        with rate_limits.login(email, address, device):
            raise NotSignedIn  # noqa: TRY301 - as accounts.login does
    except NotSignedIn:
        return 0
    except RateLimited as error:
        return error.retry_after


def sign_in(address: str = HOME, email: str = ADA) -> str:
    """The right password; the browser's cookie afterwards."""
    with rate_limits.login(email, address):
        pass
    return security.device_cookie(email)


def botnet(tries: Callable[[str], object]) -> None:
    """More than the limit of an account, each from another address."""
    for number in range(120):
        tries(f"198.51.100.{number}")


def test_an_address_that_signed_in_before_still_can_while_a_botnet_guesses() -> None:
    sign_in()
    botnet(guess)
    assert guess("192.0.2.1") > 0
    assert guess(HOME) == 0
    sign_in(HOME)


def test_a_browser_that_signed_in_before_still_can_from_anywhere() -> None:
    device = sign_in()
    botnet(guess)
    assert guess("192.0.2.1", device) == 0
    assert guess("192.0.2.1") > 0


def test_a_browser_keeps_its_allowance_beside_an_attacker_at_the_same_address() -> None:
    device = sign_in()
    for number in range(100):
        guess(email=f"{number}@example.com")
    for _ in range(6):
        guess()
    assert guess() > 0
    assert guess(HOME, device) == 0


def test_such_a_browser_has_no_more_tries_than_others() -> None:
    device = sign_in()
    assert [bool(guess("192.0.2.1", device)) for _ in range(6)] == [False] * 5 + [True]


@pytest.mark.parametrize("device", [security.DEVICE_SECONDS, "", "a.b.c", "x" * 4000])
def test_a_cookie_that_was_not_given_out_helps_nobody(device: str) -> None:
    botnet(guess)
    assert guess("192.0.2.1", str(device)) > 0


def test_a_cookie_of_another_account_or_for_another_purpose_helps_nobody() -> None:
    others = sign_in("192.0.2.9", EVE)
    forged = security.sign("visit", [security.token_hash(ADA), "nonce"])
    botnet(guess)
    assert guess("192.0.2.1", others) > 0
    assert guess("192.0.2.1", forged) > 0


def test_a_cookie_ends_after_half_a_year(monkeypatch: pytest.MonkeyPatch) -> None:
    device, later = sign_in(), time.time() + security.DEVICE_SECONDS + 60
    assert security.device_nonce(device, ADA)
    monkeypatch.setattr(time, "time", lambda: later)
    assert security.device_nonce(device, ADA) == ""


def test_an_account_is_known_at_so_many_addresses_only() -> None:
    for number in range(30):
        sign_in(f"192.0.2.{number}")
    botnet(guess)
    assert sum(guess(f"192.0.2.{number}") == 0 for number in range(30)) == 20


def test_letters_asked_for_by_strangers_leave_the_owner_some() -> None:
    device = sign_in()
    botnet(lambda address: refused(address, ""))
    assert refused("192.0.2.1", "")
    assert not refused(HOME, "")
    assert not refused("192.0.2.1", device)
    assert [refused("192.0.2.1", device) for _ in range(3)] == [False, False, True]


def test_one_ipv6_customer_does_not_get_a_new_allowance_with_each_network() -> None:
    """Who has a /48 has 65,536 networks of 64 bits: all of them together may try 16 times as often."""
    parts = [number % 256 * 256 + number // 256 for number in range(16 * 20 + 5)]  # each /56 in turn
    tried = [wrong_key(SITE.format(1, part)) for part in parts]
    assert tried == [True] * 16 * 20 + [False] * 5
    assert wrong_key(SITE.format(2, 0))


def test_guesses_at_one_account_are_counted_by_network_too() -> None:
    """Of a /56 with 256 networks of 64 bits four times as many as of one: 20 a minute."""
    assert [guess(SITE.format(3, number)) == 0 for number in range(25)] == [True] * 20 + [False] * 5
    assert guess(SITE.format(4, 0)) == 0


def test_what_is_refused_for_the_whole_network_is_not_counted_for_a_part_of_it() -> None:
    for number in range(20):
        guess(SITE.format(3, number))
    for _ in range(10):
        assert guess(SITE.format(3, 0x20)) > 0
    # Another /56 of the same /48 has its own.
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
    """Whether one wrong key of a share link is looked at."""
    try:
        rate_limits.check_address(rate_limits.WRONG_KEYS, "share", client_ip.rate_limit_key(address))
    except RateLimited:
        return False
    return True
