"""What control has decided, read from its topic as `replicator events` reads it."""

from __future__ import annotations

from replicator import config
from replicator.control.decisions.health import HealthState
from replicator.control.events import topic
from replicator.control.events.event import Event
from replicator.control.events.log import ControlLog

_SERVING = (HealthState.HEALTHY, HealthState.DEGRADED)


class Decisions:
    """The events of one installation, oldest first, and what they come to."""

    def __init__(self, settings: config.Config) -> None:
        """Makes the topic where control hasn't yet."""
        topic.ensure(settings)
        self._log = ControlLog(settings)
        self.events: list[Event] = []

    def refresh(self) -> None:
        """Take in what was written since."""
        self.events += [each for each in self._log.read() if isinstance(each, Event)]

    def newest(self, kind: str, destination: str, since_ms: int = 0) -> Event | None:
        """The newest event of that kind about a destination, not older than `since_ms` (since 1970)."""
        self.refresh()
        for event in reversed(self.events):
            if (event.kind, event.destination) == (kind, destination) and event.at_ms >= since_ms:
                return event
        return None

    def active(self, standby: str) -> bool:
        """Whether the standby is on duty, by all that was taken in."""
        return self._log.state.active(standby)

    def complete(self, standby: str) -> bool:
        """Whether it was given all of the past, too, and could be restored from by itself."""
        duty = self._log.state.duties.get(standby)
        return duty is not None and duty.copied

    def unhealthy(self, names: tuple[str, ...]) -> str | None:
        """Which of the destinations control calls down or doesn't know yet, in words; None when all serve.

        One that is degraded serves: the first probe of all may have been slow.
        """
        self.refresh()
        known = self._log.state.health
        lacking = [
            f"{name} is {known[name].subject if name in known else 'unknown'}"
            for name in names
            if name not in known or known[name].subject not in _SERVING
        ]
        return ", ".join(lacking) or None

    def close(self) -> None:
        """Let go of the connection."""
        self._log.close()
