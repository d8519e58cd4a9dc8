"""Dates in headers, which anybody may have written."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_date(text: str) -> datetime | None:
    """A date as RFC 9110, 5.6.7 writes it, UTC where it names no zone; None for anything else."""
    try:
        date = parsedate_to_datetime(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter for numbers of many digits
        return None
