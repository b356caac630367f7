"""What the answers and failures of all providers have in common: they come over HTTP."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_CLOCK_SLACK_S = 900.0
"""Signatures are refused when clocks differ by more (S3: RequestTimeTooSkewed; Azure: 15 minutes, too)."""


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header, a number or a date (RFC 9110, 10.2.3); None for neither."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return None


def clock_is_off(date: str | None, now: datetime) -> bool:
    """Whether the server's Date header and this host's clock differ too much for signatures."""
    try:
        return abs((parsedate_to_datetime(date or "") - now).total_seconds()) > _CLOCK_SLACK_S
    except (TypeError, ValueError):
        return False


def clocks(date: str) -> str:
    """Both clocks, for the end of a message."""
    return f" (server's clock: {date}; this host's: {datetime.now(UTC):%d %b %Y %H:%M:%S} UTC)"


def certificate_refused(error: BaseException) -> bool:
    """Whether a server's certificate that isn't trusted is behind the error, however deep."""
    open_: list[object] = [error]
    seen: set[int] = set()
    while open_:
        each = open_.pop()
        if isinstance(each, ssl.SSLCertVerificationError):
            return True
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            # botocore keeps the cause in `kwargs`, urllib3 in `reason`, requests in its arguments.
            wrapped = getattr(each, "kwargs", {})
            open_ += [*each.args, each.__cause__, getattr(each, "reason", None)]
            open_ += [wrapped.get("error")] if isinstance(wrapped, dict) else []
    return False
