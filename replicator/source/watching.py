"""The shell around `watch`: asks Connect, restarts, logs."""

from __future__ import annotations

import threading
import time

import structlog

from replicator import signals
from replicator.config import Config
from replicator.errors import SourceError
from replicator.source import continuity
from replicator.source.connect_api import ConnectError
from replicator.source.registration import Registration
from replicator.source.running import ConnectorFailedError, shortened, state
from replicator.source.watch import GiveUp, Restart, Watch

_log = structlog.get_logger()


def watch(config: Config, interval_s: float, stop: threading.Event | None = None) -> None:
    """Restart the connector when it fails, until SIGTERM, SIGINT or `stop`.

    `ConnectorFailedError` when a restart would pass over lost changes, `SourceError` without a connector at
    the start. Connect being away is waited for.
    """
    registration = Registration.named(config)
    ended = stop or signals.ending()
    machine = Watch()
    _log.info("watching", connector=registration.name, interval_s=interval_s)
    while not ended.wait(interval_s):
        try:
            now = state(registration.connect.status(registration.name))
            decision = machine.decide(now, time.monotonic(), registration.hole)
            if isinstance(decision, GiveUp):
                raise ConnectorFailedError(
                    f"The connector {registration.name} has failed and isn't restarted: {decision.reason}.\n"
                    + shortened(now.trace),
                    next_step=continuity.CURE,
                )
            if isinstance(decision, Restart):
                _log.warning(
                    "restarting",
                    connector=registration.name,
                    attempt=decision.attempt,
                    trace=shortened(now.trace),
                )
                registration.connect.restart(registration.name)
        except ConnectError as error:
            _log.warning("connect is away", error=error.message)
        except ConnectorFailedError:
            raise
        except SourceError as error:
            _log.warning("the source is away", error=error.message)
