"""The one table from Google Cloud Storage's errors to kinds, deny by default.

Source: "HTTP status and error codes for JSON", Cloud Storage documentation. The reason inside the answer
decides, then the HTTP status: a server's own error may pass, any other is for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import google.auth.exceptions as auth
import requests
import urllib3.exceptions
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.http_errors import certificate_refused, clock_is_off, clocks, retry_after_seconds

_TRANSIENT = ("backendError", "internalError", "uploadBrokenConnection", "transientError")
_THROTTLED = ("rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded")
_FATAL = (
    "accountDisabled",
    "billingNotEnabled",
    "objectUnderActiveHold",
    "quotaExceeded",
    "retentionPolicyNotMet",
    "cloudKmsCryptoKeyNotFound",
)

KINDS: dict[str, ErrorKind] = {
    **dict.fromkeys(_TRANSIENT, ErrorKind.TRANSIENT),
    **dict.fromkeys(_THROTTLED, ErrorKind.THROTTLED),
    **dict.fromkeys(_FATAL, ErrorKind.FATAL),
    "conditionNotMet": ErrorKind.EXISTS,
}
_BY_STATUS = {
    401: ErrorKind.AUTH,
    403: ErrorKind.AUTH,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TRANSIENT,
    412: ErrorKind.EXISTS,
    429: ErrorKind.THROTTLED,
    501: ErrorKind.FATAL,
}

_CREDENTIALS = (
    "give `credentials_file` or `credentials_json` of this destination, or set GOOGLE_APPLICATION_CREDENTIALS"
)
_RIGHTS = "grant storage.objects.create, .get and .list on this bucket to the account in use"
NO_BUCKET = "create the bucket, or correct `bucket` of this destination"
_NEXT_STEPS = {
    "accountDisabled": "see to the project's billing; until then Kafka keeps what isn't stored",
    "billingNotEnabled": "see to the project's billing; until then Kafka keeps what isn't stored",
    "cloudKmsCryptoKeyNotFound": "enable the key of `kms_key_name`; until then Kafka keeps what isn't stored",
    "quotaExceeded": "raise the project's quota; until then Kafka keeps what isn't stored",
    "retentionPolicyNotMet": "wait for the end of its retention; nothing can replace or delete it before",
}


def classify(error: Exception, doing: str) -> StorageError:
    """The error of Google's SDK or its transport as one of ours; `doing` names bucket, operation, key."""
    if isinstance(error, GoogleAPICallError):
        return _from_response(error.code, error.message, error.errors, error.response, doing)
    if isinstance(error, DataCorruption):
        return StorageError(f"{doing}: {error}", kind=ErrorKind.CORRUPT, code="DataCorruption")
    if isinstance(error, InvalidResponse):
        return _from_response(error.response.status_code, str(error), (), error.response, doing)
    if certificate_refused(error):
        return StorageError(
            f"{doing}: the server's certificate isn't trusted: {error}",
            kind=ErrorKind.FATAL,
            next_step="correct `endpoint_url`, or give the CA's certificate in REQUESTS_CA_BUNDLE",
        )
    if isinstance(error, auth.TransportError):
        return StorageError(f"{doing}: {error}", kind=ErrorKind.TRANSIENT, code=type(error).__name__)
    if isinstance(error, auth.GoogleAuthError):
        # The service that gives tokens may be down as well as the one that keeps objects.
        kind = ErrorKind.TRANSIENT if getattr(error, "retryable", False) else ErrorKind.AUTH
        # A token that is asked for with a wrong time is refused with these words, too.
        more = "; check this host's clock (NTP), too" if "invalid_grant" in str(error) else ""
        return StorageError(
            f"{doing}: {error}", kind=kind, code=type(error).__name__, next_step=_CREDENTIALS + more
        )
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError | OSError):
        return StorageError(f"{doing}: {error}", kind=ErrorKind.TRANSIENT, code=type(error).__name__)
    return StorageError(
        f"{doing}: {type(error).__name__}: {error}", kind=ErrorKind.FATAL, code=type(error).__name__
    )


def _from_response(status: int | None, message: str, errors: Any, response: Any, doing: str) -> StorageError:
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    code = _reason(errors) or _reason(_errors_in(response)) or str(status)
    retry_after = retry_after_seconds(headers.get("retry-after"), datetime.now(UTC))
    kind = KINDS.get(code) or _BY_STATUS.get(status or 0)
    if kind is None:
        kind = ErrorKind.TRANSIENT if (status or 0) >= 500 else ErrorKind.FATAL
    # All that is wrong with a request has the reason "invalid"; what GCS says of a checksum names it.
    if status == 400 and "match" in message and any(name in message.lower() for name in ("crc32c", "md5")):
        kind = ErrorKind.CORRUPT
    if kind is ErrorKind.TRANSIENT and retry_after is not None:
        kind = ErrorKind.THROTTLED
    next_step = _NEXT_STEPS.get(code)
    if kind is ErrorKind.AUTH:
        next_step = _CREDENTIALS if status == 401 else _RIGHTS
    text = f"{doing}: {code} {message[:300]}".rstrip()
    if kind is ErrorKind.AUTH and clock_is_off(headers.get("date"), datetime.now(UTC)):
        text += clocks(headers["date"])
        next_step = "set this host's clock (NTP); Google refuses tokens that were made in another hour"
    return StorageError(text, kind=kind, next_step=next_step, retry_after=retry_after, code=code)


def _reason(errors: Any) -> str | None:
    for each in errors or ():
        if isinstance(each, dict) and each.get("reason"):
            return str(each["reason"])
    return None


def _errors_in(response: Any) -> Any:
    # Of uploads and downloads the SDK doesn't look into the answer.
    try:
        return response.json()["error"]["errors"]
    except (AttributeError, LookupError, TypeError, ValueError, requests.RequestException):
        return None
