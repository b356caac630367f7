"""The one table from S3's errors to kinds, deny by default.

Source: the S3 API reference's list of error codes; codes of other servers as they were met. A code that isn't
here is judged by its HTTP status: a server's own error may pass, any other is for a person.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.exceptions as boto
import urllib3.exceptions as http

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.http_errors import certificate_refused, clocks, retry_after_seconds

_TRANSIENT = (
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "OperationAborted",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "NoSuchUpload",
    "500",
    "502",
    "503",
    "504",
)
_THROTTLED = (
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequests",
    "RequestThrottled",
    "429",
)
_AUTH = (
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnauthorizedAccess",
    "401",
    "403",
)
_NOT_FOUND = ("NoSuchKey", "NoSuchVersion", "404")
_EXISTS = ("PreconditionFailed", "412")
_CORRUPT = ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch")

KINDS: dict[str, ErrorKind] = {
    **dict.fromkeys(_TRANSIENT, ErrorKind.TRANSIENT),
    **dict.fromkeys(_THROTTLED, ErrorKind.THROTTLED),
    **dict.fromkeys(_AUTH, ErrorKind.AUTH),
    **dict.fromkeys(_NOT_FOUND, ErrorKind.NOT_FOUND),
    **dict.fromkeys(_EXISTS, ErrorKind.EXISTS),
    **dict.fromkeys(_CORRUPT, ErrorKind.CORRUPT),
}

_NEXT_STEPS = {
    "NoSuchBucket": "create the bucket, or correct `bucket` and `region` of this destination",
    "InvalidAccessKeyId": "correct `access_key_id` of this destination; the server doesn't know it",
    "SignatureDoesNotMatch": "correct `secret_access_key` of this destination; the key id has another",
    "AccessDenied": "grant s3:GetObject, s3:PutObject and s3:ListBucket on this bucket to the key in use",
    "403": "grant s3:GetObject, s3:PutObject and s3:ListBucket on this bucket to the key in use",
    "RequestTimeTooSkewed": "set this host's clock (NTP); S3 refuses signatures that are 15 minutes off",
    "ExpiredToken": "renew the session's credentials",
    "PermanentRedirect": "set `region` of this destination to the bucket's own",
    "AuthorizationHeaderMalformed": "set `region` of this destination to the bucket's own",
    "QuotaExceeded": "raise the bucket's quota; until then Kafka keeps what isn't stored",
    "InvalidStorageClass": "correct `storage_class` of this destination",
}

_NETWORK = (
    boto.EndpointConnectionError,
    boto.ConnectionClosedError,
    boto.ReadTimeoutError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.HTTPClientError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    http.HTTPError,
    OSError,
)
_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.UnauthorizedSSOTokenError,
    boto.ProfileNotFound,
)


def classify(error: Exception, doing: str) -> StorageError:
    """The error of boto3 or its transport as one of ours; `doing` names bucket, operation and key."""
    if isinstance(error, boto.ClientError):
        return _from_response(error, doing)
    if isinstance(error, boto.SSLError) and certificate_refused(error):
        return StorageError(
            f"{doing}: the server's certificate isn't trusted: {error}",
            kind=ErrorKind.FATAL,
            next_step="correct `endpoint_url`, or give the CA's certificate in AWS_CA_BUNDLE",
        )
    # botocore's parser meets half a document when a connection breaks inside a listing.
    if isinstance(error, _NETWORK) or type(error).__name__ == "ResponseParserError":
        return StorageError(f"{doing}: {error}", kind=ErrorKind.TRANSIENT, code=type(error).__name__)
    if isinstance(error, _CREDENTIALS):
        return StorageError(
            f"{doing}: {error}",
            kind=ErrorKind.AUTH,
            code=type(error).__name__,
            next_step="give `access_key_id` and `secret_access_key`, or a profile or role that boto3 finds",
        )
    return StorageError(
        f"{doing}: {type(error).__name__}: {error}", kind=ErrorKind.FATAL, code=type(error).__name__
    )


def _from_response(error: boto.ClientError, doing: str) -> StorageError:
    response: dict[str, Any] = dict(error.response)
    details = response.get("Error", {})
    metadata = response.get("ResponseMetadata", {})
    code = str(details.get("Code", ""))
    status = int(metadata.get("HTTPStatusCode", 0))
    headers = metadata.get("HTTPHeaders", {})
    retry_after = retry_after_seconds(headers.get("retry-after"), datetime.now(UTC))
    kind = KINDS.get(code)
    # A 404 with a code of its own is something else that is missing (NoSuchBucket): not the object.
    if kind is None and status != 404:
        kind = KINDS.get(str(status))
    if kind is None:
        kind = ErrorKind.TRANSIENT if status >= 500 and status != 501 else ErrorKind.FATAL
    if kind is ErrorKind.TRANSIENT and retry_after is not None:
        kind = ErrorKind.THROTTLED
    text = f"{doing}: {code or status} {details.get('Message', '')}".rstrip()
    if code == "RequestTimeTooSkewed" and "date" in headers:
        text += clocks(headers["date"])
    return StorageError(
        text, kind=kind, next_step=_NEXT_STEPS.get(code), retry_after=retry_after, code=code or str(status)
    )
