"""After a user has used every page, no var holds a secret or data of others."""

from collections.abc import Iterator

import pytest

from tests.state.attack_target import COOKIE, AttackTarget, TargetUser
from tests.state.event_handlers import Handler, handlers, payloads
from tests.support.raw_tab import HYDRATE, Frame, RawTab

pytestmark = [pytest.mark.process]
HANDLERS = handlers()
BRIEF = {"topic": "Doras topic", "avatar": "Maya"}
NOT_CALLED = {"GalleryState.delete", "DeleteDialogState.delete", "ShareDialogState.renew"}
READING = {"load", "check", "refresh", "select_all", "select_page"}
# The share link shows its key on purpose.
SHOWN_IN = "link_rx_state_"


@pytest.fixture(scope="module")
def dora(site: AttackTarget) -> Iterator[TargetUser]:
    """A user whose data may be changed."""
    with site.newcomer("dora") as person:
        yield person


def test_no_var_of_a_user_holds_secrets_or_data_of_others(site: AttackTarget, dora: TargetUser) -> None:
    film, key = _things_of(site, dora)
    with site.tab(dora.cookie) as tab:
        frames = [frame for handler in HANDLERS for frame in _used(tab, handler, film)]
        tab.send(_named("GalleryState.rename").full_name, {"video_id": film, "title": "Doras film"})
        for name in ("ShareDialogState.open", "CreateState.open", "GalleryState.play", "AccountState.load"):
            frames += _used(tab, _named(name), film)
        tab.send(HYDRATE)
        whole = tab.answers()
    assert len(_vars(whole)) > 60
    shown = str(_vars(whole))
    assert [text for text in (dora.email, "Doras film", key, "Doras robot") if text not in shown] == []
    secrets = site.secrets() | {dora.token} | site.hidden
    for var, value in _vars([*frames, *whole]):
        exposed = {secret for secret in secrets if secret in value}
        exposed |= {key} if key in value and not var.endswith(SHOWN_IN) else set()
        assert not exposed, var


def test_an_admin_sees_owners_and_no_secret(site: AttackTarget) -> None:
    with site.tab(site.root.cookie) as tab:
        for handler in HANDLERS:
            if handler.is_for_admins and handler.name in READING:
                tab.send(handler.full_name, address="/admin")
        tab.send(HYDRATE)
        found = _vars(tab.answers())
    assert site.ada.email in str(found)
    secrets = site.secrets() | {site.secret_key}
    assert not [var for var, value in found for secret in secrets if secret in value]


def test_the_cookie_is_in_no_var(site: AttackTarget) -> None:
    with site.tab(site.ada.cookie) as tab:
        tab.send(HYDRATE)
        assert COOKIE not in str(_vars(tab.answers()))


def _things_of(site: AttackTarget, dora: TargetUser) -> tuple[str, str]:
    """A video and its secret key; also creates a draft and a token."""
    body = {"videoUrl": site.generator.file("doras.mp4"), "userEmail": dora.email, "title": "Doras film"}
    film = dora.api.post("/api/auth/video/download", json=body).json()["data"]
    for path, wanted in (
        ("create-video", {**BRIEF, "email": dora.email}),
        ("tokens", {"name": "Doras robot"}),
    ):
        dora.api.post(f"/api/auth/{path}", json=wanted).raise_for_status()
    return film["videoId"], film["secretKey"]


def _used(tab: RawTab, handler: Handler, film: str) -> list[Frame]:
    """The answers when the owner calls a handler with her own video; deletion and key reset are left out."""
    if handler.label in NOT_CALLED:
        return []
    for payload in payloads(handler, [film]):
        tab.send(handler.full_name, payload, f"/gallery?video={film}")
    return tab.answers()


def _named(label: str) -> Handler:
    return next(handler for handler in HANDLERS if handler.label == label)


def _vars(frames: list[Frame]) -> list[tuple[str, str]]:
    """Each var with its value as text, in the order sent."""
    return [
        (f"{state}.{name}", str(value))
        for frame in frames
        for state, delta in (frame.update.get("delta") or {}).items()
        for name, value in delta.items()
    ]
