"""Control as a process: it stands by, leads while the group says so, and ends in order."""

from __future__ import annotations

import threading
import time

import structlog

from replicator import signals
from replicator.config import Config
from replicator.control.events import topic
from replicator.control.events.journal import FencedError, LostTrackError
from replicator.control.events.leadership import Leadership
from replicator.control.events.log import ControlLog
from replicator.control.leader import Leader
from replicator.errors import ConfigError, KafkaError
from replicator.points import Signer
from replicator.registry import RegistryError
from replicator.telemetry import ControlMetrics
from replicator.writer.process import health
from replicator.writer.process.health import Progress
from replicator.writer.process.pool import Supervisor

_POLL_S = 0.2
_PATIENCE_S = 60.0
_STALLED_S = 60.0
_RETRY_S = 2.0
"""A term of office that couldn't begin is tried again after so long."""
_log = structlog.get_logger()


def run(config: Config) -> None:
    """Stand by or lead until SIGTERM or SIGINT.

    `ConfigError` when it can't begin, `KafkaError` when Kafka refuses it for good.
    """
    check(config)
    ending = signals.ending("the topic has everything that was decided")
    signer = Signer(config.control)
    metrics, supervisor = ControlMetrics(), Supervisor()
    readiness = Progress("loop", "no progress", _STALLED_S)
    server = health.serve_for("control", config.control, readiness, metrics, supervisor)
    _log.info("control", installation=config.installation, health=health.url_of(server))
    _ensure(config, ending)
    office = _Office(config, signer, metrics, supervisor)
    try:
        while not ending.is_set():
            readiness.trouble("kafka", office.round())
            readiness.progressed()
            if supervisor.failure is not None:
                raise supervisor.failure
    finally:
        office.close()
        server.shutdown()
    _log.info("ended")


def check(config: Config) -> None:
    """`ConfigError` for a promise that nothing could keep, or a name that clashes with the control topic."""
    total, wanted = len(config.destinations), config.control.min_copies
    if wanted > total:
        raise ConfigError(
            f"control.min_copies is {wanted}, and {total} destinations are configured: the promise can "
            "never be kept.",
            next_step="add destinations, or promise fewer copies",
        )


class _Office:
    """The group's membership, the log, and the leader while there is one in this process."""

    def __init__(
        self, config: Config, signer: Signer, metrics: ControlMetrics, supervisor: Supervisor
    ) -> None:
        self._config = config
        self._signer = signer
        self._metrics = metrics
        self._supervisor = supervisor
        self._log = ControlLog(config)
        self._leadership = Leadership(config)
        self._leader: Leader | None = None
        self._not_before = 0.0

    def round(self) -> str | None:
        """Go round once; what stood in the way, in words, None when nothing did."""
        leads = self._leadership.poll(_POLL_S)
        trouble = None
        try:
            self._log.read()
            if not leads:
                self._step_down()
            elif self._leader is None and time.monotonic() >= self._not_before:
                self._not_before = time.monotonic() + _RETRY_S
                self._leader = Leader(self._config, self._log, self._signer, self._metrics, self._supervisor)
            elif self._leader is not None:
                self._leader.round()
        except FencedError as error:
            _log.warning("no longer leads", error=error.message)
            self._step_down()
            self._leadership.resign()
            self._leadership = Leadership(self._config)
        except LostTrackError as error:
            trouble = error.message
            _log.warning("the term begins anew", error=error.message)
            self._step_down()
        except (KafkaError, RegistryError) as error:
            trouble = error.message
            _log.warning("control can't go on yet; nothing is decided meanwhile", error=error.message)
        self._metrics.leader.set(self._leader is not None)
        self._metrics.epoch.set(self._log.state.epoch)
        self._metrics.refused.set(len(self._log.refused))
        return trouble

    def close(self) -> None:
        """Let another process lead."""
        self._step_down()
        self._leadership.resign()
        self._log.close()

    def _step_down(self) -> None:
        if self._leader is not None:
            _log.info("stands by")
            self._leader.close()
            self._leader = None


def _ensure(config: Config, ending: threading.Event) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return topic.ensure(config)
        except KafkaError as error:
            if ending.is_set() or time.monotonic() > deadline:
                raise
            _log.warning("Kafka isn't there yet", error=error.message)
            ending.wait(1.0)
