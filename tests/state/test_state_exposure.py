"""What is in the vars of the pages once somebody has used all of them: what they see, and no secret."""

from collections.abc import Iterator

import pytest

from tests.state.attack_target import COOKIE, AttackTarget, TargetUser
from tests.state.event_handlers import Handler, handlers, payloads
from tests.support.raw_tab import HYDRATE, Frame, RawTab

pytestmark = [pytest.mark.process]
HANDLERS = handlers()
BRIEF = {"topic": "Doras topic", "avatar": "Maya"}
SPARED = {"GalleryState.delete", "RemovalState.delete", "SharingState.renew"}
READING = {"load", "look", "refresh", "select_all", "select_page"}
# Where a secret is shown on purpose: the link that its owner gives out.
SHOWN_IN = "link_rx_state_"


@pytest.fixture(scope="module")
def dora(house: AttackTarget) -> Iterator[TargetUser]:
    """Somebody with things of her own, which she may spoil."""
    with house.newcomer("dora") as person:
        yield person


def test_somebody_who_used_everything_has_no_secret_and_nothing_of_others_in_any_var(
    house: AttackTarget, dora: TargetUser
) -> None:
    film, key = _things_of(house, dora)
    with house.tab(dora.cookie) as tab:
        frames = [frame for handler in HANDLERS for frame in _used(tab, handler, film)]
        for name in ("SharingState.open", "StudioState.open", "GalleryState.play", "ProfileState.load"):
            frames += _used(tab, _named(name), film)
        tab.send(HYDRATE)
        whole = tab.answers()
    assert len(_vars(whole)) > 60
    shown = str(_vars(whole))
    assert all(text in shown for text in (dora.email, "Doras film", key, "Doras robot"))
    secrets = house.secrets() | {dora.token} | house.hidden
    for var, value in _vars([*frames, *whole]):
        told = {secret for secret in secrets if secret in value}
        told |= {key} if key in value and not var.endswith(SHOWN_IN) else set()
        assert not told, var


def test_an_admin_sees_whose_videos_there_are_and_no_secret(house: AttackTarget) -> None:
    with house.tab(house.root.cookie) as tab:
        for handler in HANDLERS:
            if handler.is_for_admins and handler.name in READING:
                tab.send(handler.full_name, address="/admin")
        tab.send(HYDRATE)
        found = _vars(tab.answers())
    assert house.ada.email in str(found)
    secrets = house.secrets() | {house.secret_key}
    assert not [var for var, value in found for secret in secrets if secret in value]


def test_the_cookie_is_in_no_var(house: AttackTarget) -> None:
    with house.tab(house.ada.cookie) as tab:
        tab.send(HYDRATE)
        assert COOKIE not in str(_vars(tab.answers()))


def _things_of(house: AttackTarget, dora: TargetUser) -> tuple[str, str]:
    """A film and its secret key; a draft and a token beside."""
    body = {"videoUrl": house.generator.file("doras.mp4"), "userEmail": dora.email, "title": "Doras film"}
    film = dora.api.post("/api/auth/video/download", json=body).json()["data"]
    for path, wanted in (
        ("create-video", {**BRIEF, "email": dora.email}),
        ("tokens", {"name": "Doras robot"}),
    ):
        dora.api.post(f"/api/auth/{path}", json=wanted).raise_for_status()
    return film["videoId"], film["secretKey"]


def _used(tab: RawTab, handler: Handler, film: str) -> list[Frame]:
    """What comes of it when its owner uses a handler with her own film, but for deleting it and replacing its key."""
    if handler.label in SPARED:
        return []
    for payload in payloads(handler, [film]):
        tab.send(handler.full_name, payload, f"/gallery?video={film}")
    return tab.answers()


def _named(label: str) -> Handler:
    return next(handler for handler in HANDLERS if handler.label == label)


def _vars(frames: list[Frame]) -> list[tuple[str, str]]:
    """Each var with its value as text, in the order in which they were sent."""
    return [
        (f"{state}.{name}", str(value))
        for frame in frames
        for state, delta in (frame.update.get("delta") or {}).items()
        for name, value in delta.items()
    ]
