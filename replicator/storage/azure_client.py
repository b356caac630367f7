"""The Azure client of one destination: every setting with its reason."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient, CustomerProvidedEncryptionKey

from replicator.config import AzureDestination
from replicator.storage import http_body

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_NEVER_IN_PARTS = 2**40


class _Transport(RequestsTransport):  # type: ignore[misc]  # azure-core gives no type for it
    """Reads each answer to its end at once: the SDK would repeat a broken body three times by itself."""

    def send(self, request: Any, **more: Any) -> Any:
        response = super().send(request, **more)
        try:
            _ = response.internal_response.content
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ServiceResponseError(error, error=error) from error
        return response


def connect(destination: AzureDestination) -> ContainerClient:
    """A client that sends each request once, and whole bodies in one. Nothing is sent yet."""
    session = http_body.session(
        requests.Session(), destination.connect_timeout_s, destination.read_timeout_s, destination.proxy
    )
    return ContainerClient(
        destination.account_url,
        destination.container,
        credential=_credential(destination),
        transport=_Transport(session=session, use_env_settings=destination.proxy is None),
        retry_total=0,
        max_single_get_size=_NEVER_IN_PARTS,
        max_single_put_size=_NEVER_IN_PARTS,
    )


def customer_key(destination: AzureDestination) -> CustomerProvidedEncryptionKey | None:
    """The key that Azure encrypts with and forgets, with its checksum; None without one."""
    if destination.customer_key is None:
        return None
    key = destination.customer_key.get_secret_value()
    checksum = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode()
    return CustomerProvidedEncryptionKey(key, checksum)


def _credential(
    destination: AzureDestination,
) -> AzureNamedKeyCredential | AzureSasCredential | TokenCredential:
    if destination.account_key is not None:
        return AzureNamedKeyCredential(destination.account_name, destination.account_key.get_secret_value())
    if destination.sas_token is not None:
        return AzureSasCredential(destination.sas_token.get_secret_value())
    from azure.identity import DefaultAzureCredential

    # Its own retries would be repeated by ours.
    settings: dict[str, Any] = {
        "retry_total": 0,
        "connection_timeout": destination.connect_timeout_s,
        "read_timeout": destination.read_timeout_s,
    }
    if destination.proxy is not None:
        settings["proxies"] = {"http": destination.proxy, "https": destination.proxy}
    return DefaultAzureCredential(**settings)
