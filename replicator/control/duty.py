"""A standby's duty, as the control topic tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from replicator.config import Config
from replicator.control.events.event import Event
from replicator.control.events.log import ControlLog
from replicator.control.events.topic import require
from replicator.control.observation.brokers import Brokers
from replicator.errors import KafkaError
from replicator.registry import RegistryError
from replicator.writer.duty import Always, Duty
from replicator.writer.kafka.group import group_of

_POLL_S = 0.5
_RETRY_S = 2.0
_log = structlog.get_logger()


def duty_of(config: Config, destination: str) -> Duty:
    """What tells the destination's sinks when to begin and when to end."""
    if config.destination(destination).role == "active":
        return Always()
    return StandbyDuty(config, destination)


class StandbyDuty:
    """Waits for `activated`, then follows the topic until `released`."""

    def __init__(self, config: Config, destination: str) -> None:
        self._config = config
        self._destination = destination
        self._log: ControlLog | None = None
        self._over = threading.Event()

    def called(self, ending: threading.Event, waiting: Callable[[str], None]) -> bool:
        """See `Duty`. The offsets that the activation set are there when it returns."""
        _log.info("a standby: waits until control activates it", destination=self._destination)
        brokers: Brokers | None = None
        while not ending.is_set():
            try:
                waiting("it is a standby, and waits until control activates it")
                if self._log is None:
                    # Not before the topic is there: a consumer of a topic that isn't may find it late.
                    require(self._config)
                    self._log = ControlLog(self._config, points=False)
                self._log.read(_POLL_S)
                activation = _activation(self._log, self._destination)
                if activation is None:
                    continue
                waiting("it is activated, and waits for its offsets to be readable")
                brokers = brokers or Brokers(self._config.kafka, f"replicator-duty.{self._destination}")
                if self._offsets_readable(brokers, activation):
                    _log.info("activated", destination=self._destination, reason=activation.reason)
                    threading.Thread(target=self._follow, args=[self._log], name="duty", daemon=True).start()
                    return True
                ending.wait(_POLL_S)
            except (KafkaError, RegistryError) as error:
                waiting(error.message)
                ending.wait(_RETRY_S)
        return False

    def over(self) -> bool:
        """See `Duty`."""
        return self._over.is_set()

    def _offsets_readable(self, brokers: Brokers, activation: Event) -> bool:
        """The event and the offsets are one transaction, but its marker reaches the group's partition a
        moment later or earlier than the topic's."""
        moved = {(each.topic, each.partition) for each in activation.offsets if each.offset > 0}
        commits = brokers.commits(group_of(self._config.installation, self._destination), moved)
        return moved == commits.keys()

    def _follow(self, log: ControlLog) -> None:
        while not self._over.is_set():
            try:
                log.read(_POLL_S)
            except (KafkaError, RegistryError) as error:
                _log.warning("the control topic can't be read; the duty goes on", error=error.message)
                time.sleep(_RETRY_S)
                continue
            if _activation(log, self._destination) is None:
                _log.info("released", destination=self._destination)
                self._over.set()


def _activation(log: ControlLog, destination: str) -> Event | None:
    duty = log.state.duties.get(destination)
    return duty.event if duty is not None and duty.active else None
