"""The Google Cloud Storage client of one destination: every setting with its reason."""

from __future__ import annotations

import json
from typing import Any

import google.auth
import requests
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.storage import Client

from replicator.config import GcsDestination
from replicator.storage import http_body

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


def connect(destination: GcsDestination) -> Client:
    """A client that sends each request once. Nothing is sent yet, except for finding credentials."""

    def own(made: requests.Session) -> requests.Session:
        return http_body.session(
            made, destination.connect_timeout_s, destination.read_timeout_s, destination.proxy
        )

    credentials = _credentials(destination)
    # Tokens are fetched by way of the same proxy and within the same time-outs.
    http = AuthorizedSession(credentials, auth_request=Request(own(requests.Session())))
    return Client(
        # It names where buckets are created and who pays; the SDK wants one even if it does neither.
        project=destination.project or "unnamed",
        credentials=credentials,
        _http=own(http),
        client_options=ClientOptions(api_endpoint=destination.endpoint_url)
        if destination.endpoint_url
        else None,
    )


def _credentials(destination: GcsDestination) -> Credentials:
    found: Any
    if destination.anonymous:
        return AnonymousCredentials()
    if destination.credentials_file is not None:
        found, _ = google.auth.load_credentials_from_file(str(destination.credentials_file), scopes=_SCOPES)
    elif destination.credentials_json is not None:
        given = json.loads(destination.credentials_json.get_secret_value())
        found, _ = google.auth.load_credentials_from_dict(given, scopes=_SCOPES)
    else:
        found, _ = google.auth.default(scopes=_SCOPES)
    credentials: Credentials = found
    return credentials
