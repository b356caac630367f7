"""The notifier as a process: it follows the control topic and tells people."""

from __future__ import annotations

import random
import time

import structlog

from replicator import signals
from replicator.config import Config
from replicator.control.events.event import Event
from replicator.control.events.log import ControlLog
from replicator.errors import ConfigError, KafkaError, ReplicatorError
from replicator.notify.courier import Courier
from replicator.notify.notices import Ledger, Level, Notice
from replicator.notify.turn import Turn
from replicator.registry import RegistryError
from replicator.telemetry import NotifyMetrics
from replicator.writer.process import health
from replicator.writer.process.pool import Supervisor

_POLL_S = 0.5
_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0
_log = structlog.get_logger()


class UndeliveredError(ReplicatorError):
    """A receiver didn't take a notice."""


class Receiver:
    """One URL, what it was told, and when it is tried again after it didn't take something."""

    def __init__(self, courier: Courier, ledger: Ledger, metrics: NotifyMetrics) -> None:
        self.courier, self.ledger = courier, ledger
        self._metrics = metrics
        self._not_before = 0.0
        self._attempt = 0

    @property
    def failing(self) -> bool:
        """Whether it didn't take what it was offered last."""
        return self._attempt > 0

    def tell(self, now: float) -> bool:
        """Deliver what is due; whether nothing is left. `now` is in seconds since 1970."""
        due = self.ledger.due(now)
        if due and now < self._not_before:
            return False
        for key, notice in due:
            if not self.courier.deliver(notice):
                self._attempt += 1
                wait_s = random.uniform(0.0, min(_LONGEST_RETRY_S, 2.0**self._attempt))
                self._not_before = now + wait_s
                self._metrics.failures.inc()
                _log.error(
                    "a notice wasn't taken; it is tried again",
                    receiver=self.courier.words,
                    title=notice.title,
                    wait_s=round(wait_s, 1),
                )
                return False
            self._attempt = 0
            self._metrics.notices.labels(notice.level.value).inc()
            self.ledger.told(key, now)
            _log.info("told", receiver=self.courier.words, title=notice.title)
        return True


class Notifier:
    """While it is this process's turn. Reads the topic from its beginning; the group says what was told."""

    def __init__(self, config: Config, turn: Turn, receivers: list[Receiver]) -> None:
        """`KafkaError`, `RegistryError` when the topic can't be read now."""
        self._turn = turn
        self._receivers = receivers
        self._log = ControlLog(config, points=False)
        reached = turn.reached()
        self._committed = self._reached = reached or 0
        for offset, record in self._log.catch_up_at():
            self._see(offset, record, told=reached is not None and offset < reached)

    def round(self) -> None:
        """Read what is new and tell it; what was told to everybody is committed."""
        for offset, record in self._log.read_at(_POLL_S):
            self._see(offset, record)
        now = time.time()
        waiting = 0
        for receiver in self._receivers:  # each is told, whatever another one doesn't take
            waiting += not receiver.tell(now)
        if not waiting and self._reached > self._committed:
            self._turn.commit(self._reached)
            self._committed = self._reached

    def close(self) -> None:
        """Let go of the connection."""
        self._log.close()

    def _see(self, offset: int, record: object, *, told: bool = False) -> None:
        self._reached = max(self._reached, offset + 1)
        if isinstance(record, Event):
            for receiver in self._receivers:
                receiver.ledger.see(record, told=told)


class Readiness:
    """What stands in the way."""

    def __init__(self, receivers: list[Receiver]) -> None:
        self._receivers = receivers
        self.trouble: str | None = None

    def problems(self) -> dict[str, str]:
        """See `writer.process.health.Readiness`."""
        found = {
            each.courier.words: "it didn't take the last notice" for each in self._receivers if each.failing
        }
        return found if self.trouble is None else {**found, "kafka": self.trouble}


def run(config: Config) -> None:
    """Tell people until SIGTERM or SIGINT; `ConfigError` when it can't begin."""
    ending = signals.ending()
    couriers, metrics = couriers_of(config), NotifyMetrics()

    def fresh() -> list[Receiver]:
        return [
            Receiver(courier, Ledger(config.notify, config.installation), metrics) for courier in couriers
        ]

    receivers = fresh()
    readiness = Readiness(receivers)
    server = health.serve_for("notify", config.notify, readiness, metrics, Supervisor())
    _log.info("notify", receivers=[courier.words for courier in couriers])
    turn, notifier = Turn(config), None
    try:
        while not ending.is_set():
            ours = turn.poll(0.0 if notifier else _POLL_S)
            try:
                if not ours and notifier is not None:
                    notifier.close()
                    notifier = None
                elif ours and notifier is None:
                    receivers[:] = fresh()
                    notifier = Notifier(config, turn, receivers)
                    _log.info("tells")
                elif notifier is not None:
                    notifier.round()
                readiness.trouble = None
            except (KafkaError, RegistryError) as error:
                readiness.trouble = error.message
                _log.warning("nobody can be told now", error=error.message)
                ending.wait(_RETRY_S)
    finally:
        if notifier is not None:
            notifier.close()
        turn.close()
        server.shutdown()
    _log.info("ended")


def couriers_of(config: Config) -> list[Courier]:
    """One for each URL; `ConfigError` when there is none, or one isn't understood."""
    if not config.notify.urls:
        raise ConfigError(
            "notify.urls is empty: there is nobody to tell.",
            next_step="give it apprise URLs, as ${env:…} or ${file:…} because they hold secrets",
        )
    return [Courier(url.get_secret_value(), number) for number, url in enumerate(config.notify.urls)]


def try_out(config: Config) -> list[str]:
    """Send a test notice to each receiver; those that took it. `UndeliveredError` names the others."""
    notice = Notice(
        f"[{config.installation}] a test", "Nothing is wrong. Whoever reads this will be told.", Level.OVER
    )
    done = [(courier.words, courier.deliver(notice)) for courier in couriers_of(config)]
    failed = [words for words, taken in done if not taken]
    if failed:
        raise UndeliveredError(
            f"{', '.join(failed)} didn't take a test notice: nobody would be told there.",
            next_step="check that URL (token, channel, host) and that this machine may reach the service",
        )
    return [words for words, _ in done]
