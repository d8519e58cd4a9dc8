"""Values in HTTP headers, which may be malformed."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_date(text: str) -> datetime | None:
    """A date as in RFC 9110, 5.6.7, in UTC if it has no zone; None for anything else."""
    try:
        date = parsedate_to_datetime(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # OverflowError: numbers of many digits
        return None


def retry_after_seconds(retry_after: str) -> float | None:
    """The value of a Retry-After header (RFC 9110, 10.2.3: a number of seconds, or a date); None if malformed."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    date = parse_date(text)
    return None if date is None else max(0.0, (date - datetime.now(UTC)).total_seconds())
