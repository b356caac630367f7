"""The B2 session of one destination: every setting with its reason."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

import requests
from b2sdk.v3 import (
    SSE_B2_AES,
    B2HttpApiConfig,
    B2RawHTTPApi,
    B2Session,
    EncryptionAlgorithm,
    EncryptionKey,
    EncryptionMode,
    EncryptionSetting,
    InMemoryAccountInfo,
)
from b2sdk.v3.exception import B2ConnectionError

from replicator.config import B2Destination
from replicator.storage import http_body
from replicator.storage.errors import ErrorKind, StorageError

RawApi: Callable[[Any], Any] = B2RawHTTPApi
_B2Http: Any = B2Session.B2HTTP_CLASS


class _OneTry(_B2Http):  # type: ignore[misc]  # b2sdk has no types
    """The SDK would try up to twenty times by itself, and sleep in between."""

    @classmethod
    def _translate_and_retry(cls, fcn: Callable[[], Any], try_count: int, post_params: Any = None) -> Any:
        def told() -> Any:
            try:
                return fcn()
            except (requests.ConnectionError, requests.Timeout):
                raise
            except requests.RequestException as error:
                # An answer that broke off: the SDK would call it unknown.
                raise B2ConnectionError(str(error)) from error

        return cls._translate_errors(told, post_params)


class _Session(B2Session):  # type: ignore[misc]  # b2sdk has no types
    B2HTTP_CLASS = _OneTry


def connect(destination: B2Destination, raw_api: Callable[[Any], Any] = RawApi) -> Any:
    """A session that sends each request once; the first one must be `authorize`. Nothing is sent yet."""

    def session() -> requests.Session:
        return http_body.session(
            requests.Session(),
            destination.connect_timeout_s,
            destination.read_timeout_s,
            destination.proxy,
        )

    # With decode_content=False the SDK would put its own transport in the place of ours. The hook would fail
    # requests that succeeded: B2 signs nothing with a time, so a clock that is off does no harm there.
    config = B2HttpApiConfig(
        http_session_factory=session,
        _raw_api_class=raw_api,
        decode_content=True,
        install_clock_skew_hook=False,
    )
    return _Session(InMemoryAccountInfo(), api_config=config)


def authorize(session: Any, destination: B2Destination, where: str) -> None:
    """Exchange the keys for a token; AUTH without keys, and what the SDK raises."""
    if destination.application_key_id is not None and destination.application_key is not None:
        key_id = destination.application_key_id.get_secret_value()
        key = destination.application_key.get_secret_value()
    else:
        key_id = os.environ.get("B2_APPLICATION_KEY_ID", "")
        key = os.environ.get("B2_APPLICATION_KEY", "")
    if not key_id or not key:
        raise StorageError(
            f"{where}: there are no credentials.",
            kind=ErrorKind.AUTH,
            next_step="give `application_key_id` and `application_key`, or set B2_APPLICATION_KEY_ID and "
            "B2_APPLICATION_KEY",
        )
    session.authorize_account(destination.realm, key_id, key)


def encryption(destination: B2Destination) -> Any:
    """What B2 encrypts with; None for the bucket's own default."""
    if destination.customer_key is not None:
        secret = base64.b64decode(destination.customer_key.get_secret_value())
        return EncryptionSetting(
            EncryptionMode.SSE_C, EncryptionAlgorithm.AES256, EncryptionKey(secret, key_id=None)
        )
    return SSE_B2_AES if destination.encryption == "sse-b2" else None
