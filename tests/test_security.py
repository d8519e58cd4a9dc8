"""Passwords, tokens and sealed keys cannot be guessed, forged or moved."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from tests.support.keys import ONE_KEY, OTHER_KEY
from videovault import security
from videovault.config import settings


@pytest.fixture(autouse=True)
def own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", ONE_KEY)
    settings.cache_clear()


@pytest.mark.usefixtures("full_cost_hashes")
def test_a_password_is_kept_as_argon2id_with_owasps_parameters() -> None:
    hashed = security.hash_password("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert security.verify_password("correct horse", hashed)
    assert not security.verify_password("battery staple", hashed)


def test_an_unknown_user_has_no_right_password() -> None:
    assert not security.verify_password("anything", None)


def test_a_sealed_key_is_bound_to_its_owner_and_video() -> None:
    sealed = security.seal("key", owner_id="alice", video_id="v1")
    assert security.unseal(sealed, owner_id="alice", video_id="v1") == "key"
    assert security.unseal(sealed, owner_id="bob", video_id="v1") is None
    assert security.unseal(sealed, owner_id="alice", video_id="v2") is None


def test_text_sealed_with_an_old_key_can_still_be_unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = security.seal("key", owner_id="alice", video_id="v1")
    monkeypatch.setenv("SECRET_KEY", OTHER_KEY)
    settings.cache_clear()
    assert security.unseal(sealed, owner_id="alice", video_id="v1") is None
    monkeypatch.setenv("SECRET_KEY_OLD", ONE_KEY)
    settings.cache_clear()
    assert security.unseal(sealed, owner_id="alice", video_id="v1") == "key"


@pytest.mark.parametrize("damaged", ["", "AAAA", "not base64 at all!", "é"])
def test_a_damaged_sealed_key_cannot_be_unsealed(damaged: str) -> None:
    assert security.unseal(damaged, owner_id="alice", video_id="v1") is None


def test_a_callback_token_names_its_order_and_cannot_be_forged() -> None:
    order = security.Order("video_1", security.script_digest({"hook": "Look", "body": "Füße"}))
    token = security.callback_token(order)
    assert security.order_from_callback_token(token, max_age_seconds=60) == order
    assert security.order_from_callback_token(token + "x", max_age_seconds=60) is None
    assert security.order_from_callback_token(token, max_age_seconds=-1) is None


def test_a_digest_depends_on_the_script_but_not_on_the_order_of_its_fields() -> None:
    digest = security.script_digest({"hook": "Look", "body": "It"})
    assert security.script_digest({"body": "It", "hook": "Look"}) == digest
    assert security.script_digest({"hook": "Lookit", "body": ""}) != digest


def test_video_ids_have_the_documented_form_and_differ() -> None:
    made = {security.new_video_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(one.split("_")) == 3 and len(one.split("_")[2]) == 9 for one in made)


@pytest.mark.usefixtures("full_cost_hashes")
def test_the_alternative_to_passlib_uses_the_same_hashes() -> None:
    """As docs/decisions/0021 promises."""
    replacement = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    kept = security.hash_password("correct horse ä")
    assert replacement.verify(kept, "correct horse ä")
    assert not replacement.check_needs_rehash(kept)
    with pytest.raises(VerifyMismatchError):
        replacement.verify(kept, "wrong horse")
    assert replacement.check_needs_rehash(PasswordHasher(time_cost=1).hash("correct horse"))
    made = replacement.hash("correct horse ä")
    assert security.verify_password("correct horse ä", made)
    assert not security.verify_password("wrong horse", made)
    assert not security.needs_rehash(made)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/gallery\\..",
        "javascript:alert(1)",
        "data:text/html,x",
        "/a\nb",
        "/\tevil.example",
        "/é",
        "gallery",
    ],
)
def test_a_path_that_could_leave_the_site_is_replaced(path: str) -> None:
    assert security.local_path(path, "/create") == "/create"


@pytest.mark.parametrize("path", ["/", "/gallery", "/create?video=video_1", "/gallery/"])
def test_a_local_path_is_kept(path: str) -> None:
    assert security.local_path(path, "/create") == path
