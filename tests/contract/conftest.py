"""Fixtures: each store of the contract, and each cloud behind a proxy that breaks things."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from deploy.local.temporary import VARIABLE, given_or_temporary
from tests.__main__ import STORES
from tests.containers import docker_answers
from tests.contract.clouds.azure import AzureCloud
from tests.contract.clouds.b2 import B2Cloud, b2_cloud
from tests.contract.clouds.gcs import GcsCloud
from tests.contract.clouds.port import Cloud
from tests.contract.clouds.s3 import S3Cloud, moto_server
from tests.contract.subjects import Subject, cloud_subject, file_subject, memory_subject
from tests.faults.proxy import FaultProxy

CLOUDS = ("versitygw", "azurite", "gcs", "b2")
"""By the names of their fixtures; moto is only what versitygw isn't."""


@pytest.fixture(scope="session")
def stores(request: pytest.FixtureRequest) -> Iterator[Endpoints]:
    """The object stores of a stack; without one that is up, these parts alone are brought up."""
    if VARIABLE not in os.environ and docker_answers():
        yield request.getfixturevalue("stack")
    else:
        with given_or_temporary("stores", STORES) as stack:
            yield stack.endpoints


@pytest.fixture(scope="session")
def versitygw(stores: Endpoints) -> S3Cloud:
    """The stack's S3 server: it checks checksums, signatures and preconditions."""
    return S3Cloud(stores.s3.endpoint_url, stores.s3.access_key, stores.s3.secret_key)


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Cloud]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def azurite(stores: Endpoints) -> AzureCloud:
    return AzureCloud(stores.azure.account_url, stores.azure.account_key)


@pytest.fixture(scope="session")
def gcs(stores: Endpoints) -> GcsCloud:
    return GcsCloud(stores.gcs.endpoint_url, stores.gcs.project)


@pytest.fixture
def b2() -> Iterator[B2Cloud]:
    with b2_cloud() as made:
        yield made


@pytest.fixture(params=["memory", "file", "moto", *CLOUDS])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Every store there is, one after the other, each empty."""
    if request.param == "memory":
        made = memory_subject()
    elif request.param == "file":
        made = file_subject(tmp_path)
    else:
        made = cloud_subject(request.getfixturevalue(request.param))
    with made as subject:
        yield subject


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Every cloud, one after the other."""
    found: Cloud = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def container(cloud: Cloud) -> Iterator[str]:
    with cloud.container() as name:
        yield name


@pytest.fixture
def proxy(cloud: Cloud) -> Iterator[FaultProxy]:
    with FaultProxy(cloud.url) as made:
        yield made
