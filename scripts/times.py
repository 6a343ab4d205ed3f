"""Times on the command line."""

import re
from datetime import UTC, datetime, timedelta

from scripts.stack import WrongUse

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str | None) -> datetime | None:
    """Parses a date, a date and time (UTC unless it has a zone), or a time ago such as 90m, 36h, 7d."""
    if text is None:
        return None
    if ago := re.fullmatch(r"(\d+)([mhd])", text):
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{text} is not a valid time. Examples: 2026-07-01, 2026-07-01T10:00Z, 90m, 36h, 7d.") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
