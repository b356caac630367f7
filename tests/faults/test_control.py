"""Control while what it stands on breaks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from replicator.control.events.event import Event
from replicator.control.events.log import ControlLog
from replicator.points import stored
from replicator.storage import open_store
from tests.conftest import StackControl
from tests.faults.sinks import Process
from tests.stack.controlled import Controlled, controlled

pytestmark = pytest.mark.alone

LSN = 'replicator_restore_point_lsn{destination="primary"}'


@pytest.fixture
def installation(stack: Endpoints, tmp_path: Path) -> Iterator[Controlled]:
    with controlled(stack, tmp_path / "controlled") as made:
        yield made


def until_published(control: Process, lsn: int) -> None:
    control.until(
        f"a restore point at {lsn}",
        lambda: None if control.metrics().get(LSN) == lsn else f"it is {control.metrics().get(LSN)}",
        90,
    )


def test_control_goes_on_when_the_broker_was_killed(
    installation: Controlled, stack_control: StackControl
) -> None:
    config = installation.config({"primary": installation.directory_of("primary")})
    settings = installation.settings(config)
    with installation.control(config) as control, installation.sink(config, "primary"):
        until_published(control, installation.commit())
        stack_control.restart("kafka", signal.SIGKILL)
        until_published(control, installation.commit())
        done = installation.raw.replicator(config, "failover", "pause", "--why", "to see who answers")
        assert "paused" in done.stdout
    log = ControlLog(settings)
    events = [each for each in log.catch_up() if isinstance(each, Event)]
    log.close()
    assert not log.refused
    epochs = [each.epoch for each in events if each.epoch]
    assert epochs == sorted(epochs)


def test_control_goes_on_when_the_registry_was_away(
    installation: Controlled, stack_control: StackControl
) -> None:
    config = installation.config({"primary": installation.directory_of("primary")})
    store = open_store(installation.settings(config).destination("primary"))
    with installation.sink(config, "primary"):
        stack_control.stop("registry")
        try:
            with installation.control(config) as control:
                lsn = installation.commit()
                control.until(
                    "it to say what it waits for",
                    lambda: None if "registry" in control.said else "it says nothing of the registry",
                )
                assert not list(stored.names(store))
                stack_control.start("registry")
                until_published(control, lsn)
        finally:
            stack_control.start("registry")
