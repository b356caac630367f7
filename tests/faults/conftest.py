"""One stack, one captured database with traffic in it, and a fresh destination for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.endpoints import Endpoints
from tests.contract.clouds.s3 import S3Cloud
from tests.faults.capture import Capture, captured
from tests.faults.place import Place, place_of, server_of
from tests.faults.traffic import Traffic


@pytest.fixture(scope="session")
def capture(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capture]:
    """A database with some thousand changes behind it; tests add to it and never take away."""
    with captured(stack, tmp_path_factory.mktemp("capture")) as made:
        Traffic(made.dsn, seed=3, rows=20, changes=8_000).start().join()
        yield made


@pytest.fixture
def place(capture: Capture) -> Iterator[Place]:
    with place_of(capture) as made:
        yield made


@pytest.fixture(scope="session")
def s3_server(stack: Endpoints) -> S3Cloud:
    return server_of(stack)
