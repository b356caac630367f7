"""The one fixture behind which the stack is: a running one, containers, or processes on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Protocol

import hypothesis
import pytest

from deploy.local.endpoints import Endpoints
from deploy.local.temporary import VARIABLE, given_or_temporary
from tests.containers import compose_stack, docker_answers
from tests.source_database import SourceDatabase, fresh_database

# A shell's background job ignores SIGINT and hands that down to all it starts: programs under test heed it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An example that takes long says something about the machine, not about the code.
hypothesis.settings.register_profile("replicator", deadline=None)
hypothesis.settings.load_profile("replicator")


class StackControl(Protocol):
    """What a test may do to the stack. Parts: postgres, kafka, connect, registry, s3, azure, gcs."""

    @property
    def endpoints(self) -> Endpoints:
        """Return where the parts answer."""

    def start(self, part: str) -> None:
        """Start a part that is down, and wait until it serves."""

    def stop(self, part: str, sig: signal.Signals | None = None) -> None:
        """End a part by `sig`, politely by default."""

    def restart(self, part: str, sig: signal.Signals | None = None) -> None:
        """End a part by `sig` and start it again at the same address."""

    def pid(self, part: str) -> int:
        """Return a running part's process id."""


@pytest.fixture(scope="session")
def stack_control() -> Iterator[StackControl]:
    """The stack of this session, with the means to break it.

    REPLICATOR_STACK_DIR names one that is up already, and stays up. Otherwise it lives as long as the
    session: in containers where a Docker daemon answers, else as processes that end when this one does.
    """
    if VARIABLE not in os.environ and docker_answers():
        with compose_stack() as control:
            yield control
    else:
        with given_or_temporary("stack") as stack:
            yield stack


@pytest.fixture(scope="session")
def stack(stack_control: StackControl) -> Endpoints:
    """Where the stack's parts answer."""
    return stack_control.endpoints


@pytest.fixture
def database(stack: Endpoints) -> Iterator[SourceDatabase]:
    """An empty database and a free installation's name; gone afterwards with connectors, slots and topics."""
    with fresh_database(stack) as made:
        yield made


@pytest.fixture
def installation(database: SourceDatabase) -> str:
    """The unused installation's name that belongs to `database`."""
    return database.installation
