"""Questions that are asked again and again by a thread of their own, and the newest answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
from confluent_kafka import KafkaException

from replicator.errors import KafkaError, ReplicatorError
from replicator.writer.process.pool import Supervisor

_T = TypeVar("_T")
_log = structlog.get_logger()


class Latest(Generic[_T]):
    """Asks every `every_s` seconds until `close`. Reading it never waits.

    What the question raises as a `ReplicatorError` or as Kafka's own is kept beside the last answer; anything
    else ends the process, through the supervisor.
    """

    def __init__(self, name: str, ask: Callable[[], _T], every_s: float, supervisor: Supervisor) -> None:
        self._ask = ask
        self._every_s = every_s
        self._supervisor = supervisor
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._answer: _T | None = None
        self._error: ReplicatorError | None = None
        self._name = name
        threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def error(self) -> ReplicatorError | None:
        """Why the last question has no answer; None when it has."""
        with self._lock:
            return self._error

    def take(self) -> _T | None:
        """The newest answer, once: None until there is another."""
        with self._lock:
            answer, self._answer = self._answer, None
            return answer

    def close(self) -> None:
        """Ask no more; an answer that is on its way is dropped."""
        self._closed.set()

    def _work(self) -> None:
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                answer = self._ask()
            except ReplicatorError as error:
                self._failed(error)
            except KafkaException as error:
                self._failed(KafkaError(f"Kafka: {error.args[0].str()}"))
            except Exception as error:  # noqa: BLE001  # nothing above this frame would ever hear of it
                self._supervisor.failed(error)
                return
            else:
                with self._lock:
                    self._answer, self._error = answer, None
            self._closed.wait(max(0.0, self._every_s - (time.monotonic() - began)))

    def _failed(self, error: ReplicatorError) -> None:
        with self._lock:
            known = self._error is not None
            self._error = error
        if not known and not self._closed.is_set():
            _log.warning("no answer", question=self._name, error=error.message)
