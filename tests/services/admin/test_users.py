"""The admin's list of accounts: searched and paged by the database."""

from videovault.db import transaction
from videovault.models import Status
from videovault.services.accounts import accounts
from videovault.services.admin import users
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller


def test_people_are_found_by_address_or_name(anna: Caller, bert: Caller) -> None:
    accounts.rename(bert, "Berthold Brot")
    assert [each.user_id for each in users.find(anna, q="brot").people] == [bert.user_id]
    assert [each.user_id for each in users.find(anna, q="ANNA@").people] == [anna.user_id]
    assert users.find(anna, q="nobody").total_count == 0


def test_a_page_tells_how_many_there_are_in_all(anna: Caller, bert: Caller) -> None:
    found = users.find(anna, offset=1, limit=1)
    assert ([each.user_id for each in found.people], found.total_count) == ([bert.user_id], 2)


def test_videos_and_storage_are_each_persons_own(anna: Caller, bert: Caller) -> None:
    with transaction() as session:
        session.add(lifecycle.new_video(bert.user_id, Status.READY, "Bread", size=7))
        session.add(lifecycle.new_video(bert.user_id, Status.STORING, "Cake", reserved_bytes=5))
    first, second = users.find(anna, limit=50).people
    assert (first.video_count, first.storage_bytes) == (0, 0)
    assert (second.video_count, second.storage_bytes) == (2, 12)
    assert users.one(anna, bert.user_id) == second


def test_whoever_signs_in_has_been_seen(anna: Caller, bert: Caller) -> None:
    before = users.one(anna, bert.user_id).last_seen_at
    accounts.login("bert@example.com", "correct horse")
    after = users.one(anna, bert.user_id).last_seen_at
    assert before is not None
    assert after is not None
    assert after > before


def test_a_quota_of_ones_own_is_told_from_the_installations(anna: Caller, bert: Caller) -> None:
    assert not users.one(anna, bert.user_id).has_own_quota
    assert users.change(anna, bert.user_id, {"quota_bytes": 0}).has_own_quota
    assert not users.change(anna, bert.user_id, {"quota_bytes": None}).has_own_quota
