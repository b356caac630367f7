"""What all providers' answers have in common: Retry-After, clocks, certificates."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import requests
import urllib3.exceptions

from replicator.storage import http_errors

NOW = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-7", 0.0),
        ("Sun, 22 Nov 2026 02:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 01:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, expected: float | None) -> None:
    assert http_errors.retry_after_seconds(value, NOW) == expected


@pytest.mark.parametrize(
    ("date", "off"),
    [
        ("Sun, 22 Nov 2026 02:00:30 GMT", False),
        ("Sun, 22 Nov 2026 02:16:00 GMT", True),
        ("Sun, 22 Nov 2026 00:00:00 GMT", True),
        ("yesterday", False),
        (None, False),
    ],
)
def test_a_clock_is_off_when_the_server_s_differs_by_a_quarter_of_an_hour(
    date: str | None, off: bool
) -> None:
    assert http_errors.clock_is_off(date, NOW) is off


def test_a_refused_certificate_is_found_however_deep_it_is_wrapped() -> None:
    refused = ssl.SSLCertVerificationError("self-signed certificate")
    inner = urllib3.exceptions.SSLError(refused)
    outer = requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/", inner))  # type: ignore[arg-type]
    assert http_errors.certificate_refused(outer)
    assert not http_errors.certificate_refused(requests.exceptions.SSLError(ssl.SSLEOFError("closed")))
