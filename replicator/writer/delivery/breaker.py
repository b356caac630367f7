"""Is the destination down, or does it refuse this one segment? Decided on evidence; pure.

An upload that fails says little: the network, the store, this object, our rights. So a probe is asked, which
writes a small object by the same way, reads it back and compares. A probe that fails opens the circuit:
nothing is sent any more until a probe passes, and no segment is blamed. A probe that passes after an upload
failed for a reason that doesn't pass by itself counts as one refusal of that segment; some of them, over some
time, and the segment is given up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from replicator.storage import ErrorKind, RetryPolicy, StorageError

_SUSPICIOUS = 3
"""So many failed uploads in a row, whatever their reason, ask for a probe."""
_DAMAGED = 3
"""So many bodies that arrived otherwise than they were sent aren't the network's doing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a healthy destination may refuse a segment before it is given up: `refusals` at least, over
    `refused_s` seconds at least. An error that may pass by itself counts as a refusal after `stuck_s`."""

    refused_s: float = 60.0
    refusals: int = 4
    stuck_s: float = 900.0
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(deadline_s=None))


@dataclass(slots=True, eq=False)
class Trial:
    """One segment's way into the destination. Times are monotonic, in seconds."""

    attempts: int = 0
    since: float | None = None
    """When it failed first."""
    refusals: int = 0
    damaged: int = 0
    error: StorageError | None = None
    """How it failed last."""


@dataclass(frozen=True, slots=True)
class Again:
    """Send the segment again after so many seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Probe the destination first, then `judge` the segment."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The destination is healthy, and won't take the segment."""

    error: StorageError


class Breaker:
    """The circuit of one destination. `now` is monotonic, in seconds; `jitter` is random in [0, 1)."""

    def __init__(self, patience: Patience) -> None:
        self.open = False
        """Nothing may be sent: the destination is down."""
        self._patience = patience
        self._failures = 0
        """Uploads that failed in a row."""
        self._probes = 0
        """Probes that failed in a row."""
        self._hold_until = 0.0

    def wait_s(self, now: float) -> float:
        """How many seconds the destination asked us to stay away, from now on (Retry-After)."""
        return max(0.0, self._hold_until - now)

    def succeeded(self) -> None:
        """An upload is durable."""
        self._failures = 0

    def failed(self, trial: Trial, error: StorageError, now: float, jitter: float) -> Again | Ask:
        """An upload failed: send it again, or probe first."""
        trial.attempts += 1
        trial.since = now if trial.since is None else trial.since
        trial.error = error
        trial.damaged += error.kind is ErrorKind.CORRUPT
        self._failures += 1
        self._hold(error, now)
        if self.open or self._failures >= _SUSPICIOUS or self._is_refusal(trial, now):
            return Ask()
        return Again(self._patience.retry.wait_s(trial.attempts, error, jitter))

    def judge(self, trial: Trial, now: float, jitter: float) -> Again | GiveUp:
        """A probe that began after the upload failed has passed."""
        assert trial.error is not None, "it failed before it was judged"
        assert trial.since is not None
        if self._is_refusal(trial, now):
            trial.refusals += 1
            patience = self._patience
            if trial.refusals >= patience.refusals and now - trial.since >= patience.refused_s:
                return GiveUp(trial.error)
        return Again(self._patience.retry.wait_s(trial.attempts, trial.error, jitter))

    def probe_failed(self, error: StorageError, now: float, jitter: float) -> float:
        """The destination is down: seconds until the next probe."""
        self.open = True
        self._probes += 1
        self._hold(error, now)
        return max(self._patience.retry.wait_s(self._probes, error, jitter), self.wait_s(now))

    def probe_passed(self) -> None:
        """The destination is up."""
        self.open = False
        self._failures = self._probes = 0

    def _is_refusal(self, trial: Trial, now: float) -> bool:
        assert trial.error is not None
        assert trial.since is not None
        if trial.damaged >= _DAMAGED:
            return True
        return not trial.error.retryable or now - trial.since >= self._patience.stuck_s

    def _hold(self, error: StorageError, now: float) -> None:
        if error.retry_after is not None:
            hold_s = min(error.retry_after, self._patience.retry.retry_after_cap_s)
            self._hold_until = max(self._hold_until, now + hold_s)
