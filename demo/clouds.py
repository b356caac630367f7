"""The three clouds of the demonstration: what the configuration says of each, and its empty bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
from azure.storage.blob import BlobServiceClient, ContainerClient
from botocore.config import Config as BotoConfig
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from deploy.local.endpoints import Endpoints

ACTIVE = ("s3", "azure")
"""The destinations that take every change; each has the name of the part of the stack that serves it."""
STANDBY = "gcs"
ALL = (*ACTIVE, STANDBY)
# A cloud on loopback answers in milliseconds or not at all.
_TIMEOUTS = {"connect_timeout_s": 2.0, "read_timeout_s": 10.0}


def destinations(at: Endpoints, bucket: str, door_port: int) -> dict[str, Mapping[str, object]]:
    """The section `destinations:` of the configuration; Azure's stand-in is reached by the doorman's port."""
    azure = urlsplit(at.azure.account_url)
    return {
        "s3": {
            "type": "s3",
            "bucket": bucket,
            "endpoint_url": at.s3.endpoint_url,
            "region": at.s3.region,
            "access_key_id": at.s3.access_key,
            "secret_access_key": at.s3.secret_key,
            **_TIMEOUTS,
        },
        "azure": {
            "type": "azure",
            "container": bucket,
            "account_url": azure._replace(netloc=f"127.0.0.1:{door_port}").geturl(),
            "account_key": at.azure.account_key,
            **_TIMEOUTS,
        },
        "gcs": {
            "type": "gcs",
            "bucket": bucket,
            "endpoint_url": at.gcs.endpoint_url,
            "anonymous": True,
            "role": "standby",
            **_TIMEOUTS,
        },
    }


def create(at: Endpoints, bucket: str) -> None:
    """Make the bucket, the container and the other bucket."""
    s3: Any = boto3.client(
        "s3",
        endpoint_url=at.s3.endpoint_url,
        aws_access_key_id=at.s3.access_key,
        aws_secret_access_key=at.s3.secret_key,
        region_name=at.s3.region,
        config=BotoConfig(s3={"addressing_style": "path"}),
    )
    s3.create_bucket(Bucket=bucket)
    azure_container(at, bucket).create_container()
    gcs = Client(
        project=at.gcs.project,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=at.gcs.endpoint_url),
    )
    gcs.create_bucket(bucket)


def azure_container(at: Endpoints, container: str) -> ContainerClient:
    """The container by Azure's own SDK, for what people do to it behind everybody's back."""
    service = BlobServiceClient(at.azure.account_url, credential=at.azure.account_key)
    return service.get_container_client(container)
