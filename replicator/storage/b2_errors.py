"""The one table from Backblaze B2's errors to kinds, deny by default.

Source: "Calling the API: error handling", B2's documentation; b2sdk makes a class of each.
"""

from __future__ import annotations

import requests
import urllib3.exceptions
from b2sdk.v3 import exception as b2

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.http_errors import certificate_refused

KINDS: tuple[tuple[tuple[type[Exception], ...], ErrorKind], ...] = (
    ((b2.ChecksumMismatch, b2.FileSha1Mismatch, b2.PartSha1Mismatch), ErrorKind.CORRUPT),
    ((b2.NonExistentBucket, b2.BucketIdNotFound, b2.CapExceeded), ErrorKind.FATAL),
    # The bucket was found before: what is missing is the file.
    ((b2.FileNotPresent,), ErrorKind.NOT_FOUND),
    ((b2.TooManyRequests,), ErrorKind.THROTTLED),
    (
        (b2.Unauthorized, b2.AccessDenied, b2.NotAllowedByAppKeyError, b2.ClockSkew, b2.RestrictedBucket),
        ErrorKind.AUTH,
    ),
    (
        (
            b2.B2ConnectionError,
            b2.B2RequestTimeout,
            b2.BadUploadUrl,
            b2.BrokenPipe,
            b2.ConnectionReset,
            b2.MissingPart,
            b2.RequestTimeout,
            b2.ServiceError,
            b2.TruncatedOutput,
            b2.UnknownHost,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
        ),
        ErrorKind.TRANSIENT,
    ),
)

_UNNAMED = {
    "ResourceNotFound": ErrorKind.NOT_FOUND,
    "FileOrBucketNotFound": ErrorKind.NOT_FOUND,
    "UploadTokenUsedConcurrently": ErrorKind.TRANSIENT,
}

NO_BUCKET = "create the bucket, or correct `bucket` of this destination"
_KEYS = "correct `application_key_id` and `application_key` of this destination; B2 refuses them"
_NEXT_STEPS: tuple[tuple[type[Exception], str], ...] = (
    (b2.InvalidAuthToken, _KEYS),
    (b2.Unauthorized, "give the application key listFiles, readFiles and writeFiles on this bucket"),
    (b2.ClockSkew, "set this host's clock (NTP)"),
    (b2.CapExceeded, "raise the account's cap in Backblaze's caps and alerts; Kafka keeps what isn't stored"),
    (b2.NonExistentBucket, NO_BUCKET),
    (b2.BucketIdNotFound, NO_BUCKET),
    (b2.RetentionWriteError, "enable object lock on the bucket, and give the key writeFileRetentions"),
    (b2.AccessDenied, "check the application key's capabilities, and `customer_key`"),
)


def classify(error: Exception, doing: str) -> StorageError:
    """The error of b2sdk or its transport as one of ours; `doing` names bucket, operation and key."""
    if certificate_refused(error):
        return StorageError(
            f"{doing}: the server's certificate isn't trusted: {error}",
            kind=ErrorKind.FATAL,
            next_step="correct `realm`, or give the CA's certificate in REQUESTS_CA_BUNDLE",
        )
    kind = next((kind for classes, kind in KINDS if isinstance(error, classes)), ErrorKind.FATAL)
    # The SDK gives these classes no name outside.
    kind = _UNNAMED.get(type(error).__name__, kind)
    # A body that doesn't match its SHA-1 is a bad_request like any other, except for the message.
    if isinstance(error, b2.BadRequest) and "checksum did not match" in str(error).lower():
        kind = ErrorKind.CORRUPT
    retry_after = getattr(error, "retry_after_seconds", None)
    if kind is ErrorKind.TRANSIENT and retry_after is not None:
        kind = ErrorKind.THROTTLED
    code = str(getattr(error, "code", None) or type(error).__name__)
    next_step = next((text for each, text in _NEXT_STEPS if isinstance(error, each)), None)
    return StorageError(
        f"{doing}: {code} {error}".rstrip(),
        kind=kind,
        next_step=next_step,
        retry_after=None if retry_after is None else float(retry_after),
        code=code,
    )
