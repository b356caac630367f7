"""The one table from Azure Blob Storage's errors to kinds, deny by default.

Source: the Blob service's and the common REST API's lists of error codes. A code that isn't here is judged by
its HTTP status: a server's own error may pass, any other is for a person.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import azure.core.exceptions as azure
import requests

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.http_errors import certificate_refused, clock_is_off, clocks, retry_after_seconds

_TRANSIENT = ("InternalError", "OperationTimedOut", "InvalidBlockList", "AccountBeingCreated")
_THROTTLED = ("ServerBusy", "TooManyRequests", "AccountIOPSLimitExceeded")
_AUTH = (
    "AccountIsDisabled",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "AuthorizationProtocolMismatch",
    "AuthorizationResourceTypeMismatch",
    "AuthorizationServiceMismatch",
    "AuthorizationSourceIPMismatch",
    "InsufficientAccountPermissions",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "PublicAccessNotPermitted",
)
_NOT_FOUND = ("BlobNotFound",)
_EXISTS = ("BlobAlreadyExists", "ConditionNotMet", "UnmodifiedConditionNotMet")
_CORRUPT = ("Md5Mismatch", "InvalidMd5", "Crc64Mismatch", "IncompleteBody")

KINDS: dict[str, ErrorKind] = {
    **dict.fromkeys(_TRANSIENT, ErrorKind.TRANSIENT),
    **dict.fromkeys(_THROTTLED, ErrorKind.THROTTLED),
    **dict.fromkeys(_AUTH, ErrorKind.AUTH),
    **dict.fromkeys(_NOT_FOUND, ErrorKind.NOT_FOUND),
    **dict.fromkeys(_EXISTS, ErrorKind.EXISTS),
    **dict.fromkeys(_CORRUPT, ErrorKind.CORRUPT),
}
_BY_STATUS = {
    401: ErrorKind.AUTH,
    403: ErrorKind.AUTH,
    408: ErrorKind.TRANSIENT,
    412: ErrorKind.EXISTS,
    429: ErrorKind.THROTTLED,
    501: ErrorKind.FATAL,
}

_RIGHTS = "grant the identity in use Storage Blob Data Contributor on this container"
_IDENTITY = "give `account_key` or `sas_token`, or an identity that azure-identity finds"
_NEXT_STEPS = {
    "ContainerNotFound": "create the container, or correct `container` and `account_url` of this destination",
    "ContainerBeingDeleted": "wait until the container is gone, create it anew, or name another one",
    "AuthenticationFailed": "correct `account_key` or `sas_token` of this destination; Azure refuses it",
    "AuthorizationFailure": "check `account_key` or `sas_token`, the rights on this container, the firewall",
    "AuthorizationPermissionMismatch": _RIGHTS,
    "InsufficientAccountPermissions": _RIGHTS,
    "NoAuthenticationInformation": _IDENTITY,
    "AccountIsDisabled": "enable the storage account; until then Kafka keeps what isn't stored",
    "BlobArchived": "rehydrate the blob to a tier that can be read at once",
    "BlobImmutableDueToPolicy": "wait for the end of its retention; nothing can replace or delete it before",
    "EncryptionScopeNotFound": "create the encryption scope, or correct `encryption_scope`",
    "KeyVaultEncryptionKeyNotFound": "enable the account's key in its vault; until then Kafka keeps the rest",
}


def classify(error: Exception, doing: str) -> StorageError:
    """The error of Azure's SDK or its transport as one of ours; `doing` names container, operation, key."""
    if isinstance(error, azure.HttpResponseError) and error.response is not None:
        return _from_response(error, doing)
    if certificate_refused(error):
        return StorageError(
            f"{doing}: the server's certificate isn't trusted: {error}",
            kind=ErrorKind.FATAL,
            next_step="correct `account_url`, or give the CA's certificate in REQUESTS_CA_BUNDLE",
        )
    if isinstance(error, azure.ClientAuthenticationError):
        return StorageError(
            f"{doing}: {error.message}",
            kind=ErrorKind.AUTH,
            code=type(error).__name__,
            next_step=_IDENTITY,
        )
    network = (azure.ServiceRequestError, azure.ServiceResponseError, requests.RequestException, OSError)
    if isinstance(error, (*network, azure.DecodeError)):
        return StorageError(f"{doing}: {error}", kind=ErrorKind.TRANSIENT, code=type(error).__name__)
    return StorageError(
        f"{doing}: {type(error).__name__}: {error}", kind=ErrorKind.FATAL, code=type(error).__name__
    )


def _from_response(error: azure.HttpResponseError, doing: str) -> StorageError:
    response: Any = error.response
    status = error.status_code or 0
    headers = {name.lower(): value for name, value in response.headers.items()}
    given = getattr(error, "error_code", None) or headers.get("x-ms-error-code") or ""
    code = str(getattr(given, "value", given))
    retry_after = retry_after_seconds(headers.get("retry-after"), datetime.now(UTC))
    kind = KINDS.get(code) or _BY_STATUS.get(status)
    # Azurite's words for Md5Mismatch.
    if code == "InvalidOperation" and "contentMD5" in (error.message or ""):
        kind = ErrorKind.CORRUPT
    if kind is None and status == 404 and not code:
        kind = ErrorKind.NOT_FOUND
    if kind is None:
        kind = ErrorKind.TRANSIENT if status >= 500 else ErrorKind.FATAL
    if kind is ErrorKind.TRANSIENT and retry_after is not None:
        kind = ErrorKind.THROTTLED
    next_step = _NEXT_STEPS.get(code) or (_RIGHTS if kind is ErrorKind.AUTH else None)
    text = f"{doing}: {code or status} {_first_line(error)}".rstrip()
    if kind is ErrorKind.AUTH and clock_is_off(headers.get("date"), datetime.now(UTC)):
        text += clocks(headers["date"])
        next_step = "set this host's clock (NTP); Azure refuses signatures that are 15 minutes off"
    return StorageError(
        text, kind=kind, next_step=next_step, retry_after=retry_after, code=code or str(status)
    )


def _first_line(error: azure.HttpResponseError) -> str:
    return (error.reason or "") if not error.message else error.message.splitlines()[0][:300]
