"""What the System page says of a comparison of S3 and database."""

from videovault.services.maintenance.reconcile import Kind, Report
from videovault.state.admin.mismatches import ADVICE, verdict


def test_every_kind_of_difference_has_its_advice() -> None:
    assert set(ADVICE) == set(Kind)


def test_a_comparison_that_was_stopped_does_not_claim_that_all_is_well() -> None:
    nothing = Report(repair=False, videos=0, objects=200, bytes=0, found=[], left=0)
    assert verdict(nothing, is_stopped=False).startswith("S3 and the database agree.")
    assert verdict(nothing, is_stopped=True).startswith("Stopped early. No difference so far.")
