"""What all acts of the demonstration share: its size, its processes, and what is seen of the flow."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from demo import clouds
from demo.decisions import Decisions
from demo.display import Display, Flow
from demo.evidence import Place
from demo.processes import Installation, Program, Sink
from demo.progress import Progress
from demo.site import DemoError, Site
from deploy.local.settings import HOST
from deploy.local.stack import Stack
from deploy.local.waiting import wait_for

_TICK_S = 0.5
_LAG_EVERY_S = 2.0
_DOOR_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """How large the demonstration is. Seconds are those of the live traffic and of its acts."""

    rows: int = 25_000
    rate: float = 25.0
    workers: int = 3
    traffic_s: float = 36.0
    seed: int = 2026
    keep: bool = False


@dataclass(slots=True)
class Crash:
    """The kill of a sink; `owed` is what Kafka held at the restart, and durable at `over_at`."""

    at: datetime
    owed: dict[tuple[str, int], int] | None = None
    over_at: datetime | None = None

    @property
    def seconds(self) -> float:
        """From the kill to the end of its effects."""
        return ((self.over_at or self.at) - self.at).total_seconds()


@dataclass(slots=True)
class Stage:
    """All that the acts share."""

    options: Options
    show: Display
    stack: Stack
    site: Site
    progress: Progress
    decisions: Decisions
    installation: Installation | None = None
    """All roles of the replicator, as one tree."""
    joined: Sink | None = None
    """One more sink, that somebody started elsewhere."""
    doorman: Program | None = None
    flows: dict[str, Flow] = field(default_factory=lambda: {name: Flow() for name in clouds.ALL})
    durable: dict[str, dict[Place, datetime]] = field(
        default_factory=lambda: {name: {} for name in clouds.ALL}
    )
    """When each cloud's sinks reported each segment as durable."""
    joined_stored: int = 0
    crash: Crash | None = None
    _lag_at: float = 0.0

    @property
    def programs(self) -> list[Program]:
        """What runs to the end, in the order in which it can be ended: nobody before who needs him."""
        return [each for each in (self.joined, self.installation, self.doorman) if each is not None]

    def start_installation(self) -> None:
        """Start all roles of the replicator."""
        self.installation = Installation(self.site, outlives_us=self.options.keep)

    def start_sink(self, destination: str) -> Sink:
        """Start one more instance for a destination, as another machine would."""
        self.joined = Sink(self.site, destination, f"{destination}-2", outlives_us=self.options.keep)
        return self.joined

    def kill(self, role: str) -> int:
        """SIGKILL of one role of the installation; the process id that it had."""
        assert self.installation is not None
        pid = self.installation.pids[role]
        os.kill(pid, signal.SIGKILL)
        return pid

    def start_doorman(self) -> None:
        """Start the proxy before Azure, and wait until it listens."""
        at = self.site.endpoints.azure.account_url
        command = [
            sys.executable, "-m", "demo.doorman", "--upstream", at, "--port", str(self.site.door_port),
            "--refuse", str(self.site.refusal),
        ]  # fmt: skip
        log = self.site.logs / "doorman.log"
        self.doorman = Program("doorman", command, log, outlives_us=self.options.keep)
        wait_for(
            "the doorman before Azure",
            lambda: None if _listens(self.site.door_port) else "nothing listens on its port",
            timeout=_DOOR_S,
        )

    def lose(self, cloud: str) -> None:
        """SIGKILL of the stand-in of one cloud."""
        self.stack.stop(cloud, signal.SIGKILL)

    def regain(self, cloud: str) -> None:
        """Start it again, at the same address, with all that it had stored."""
        self.stack.start(cloud)

    def watch(self, transactions: str) -> None:
        """Read the sinks' logs and Kafka, show it; `DemoError` when a sink has failed."""
        self.read_logs()
        if time.monotonic() - self._lag_at >= _LAG_EVERY_S:
            self._lag_at = time.monotonic()
            ends = self.progress.ends()
            self.decisions.refresh()
            for destination, flow in self.flows.items():
                flow.on_duty = destination in clouds.ACTIVE or self.decisions.active(destination)
                flow.behind = self.progress.behind(destination, ends) if flow.on_duty else 0
                flow.members = self._members(destination)
        self.show.flow(transactions, self.flows)

    def _members(self, destination: str) -> int:
        joined = self.joined
        elsewhere = joined is not None and joined.running and joined.destination == destination
        return elsewhere + (self.installation.sinks(destination) if self.installation else 0)

    def read_logs(self) -> None:
        """Take in what the sinks have logged since the last time; `DemoError` when a program has failed."""
        new = self.installation.stored() if self.installation else []
        if self.joined is not None:
            of_joined = self.joined.stored()
            self.joined_stored += len(of_joined)
            new += [(self.joined.destination, stored) for stored in of_joined]
        for destination, flow in self.flows.items():
            flow.add(stored for name, stored in new if name == destination)
        for destination, stored in new:
            place = (stored.topic, stored.partition, stored.first, stored.next)
            self.durable[destination].setdefault(place, stored.at)
        for program in self.programs:
            program.check()

    def flow(
        self, traffic: Program | None, seconds: float, until: Callable[[], str | None] | None = None
    ) -> None:
        """Watch for so long; with `until`, until it has nothing missing, or `DemoError` after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            missing = until() if until is not None else "time"
            if missing is None:
                return
            if time.monotonic() >= end:
                if until is None:
                    return
                raise DemoError(
                    f"Waited {seconds:.0f} s: {missing}.",
                    next_step=f"look at the logs in {self.site.logs}",
                )
            if traffic is not None and not traffic.running:
                traffic.check()
                raise DemoError("The traffic ended by itself.", next_step=f"its log is {traffic.log}")
            self.watch("not yet" if traffic is None else last_line(traffic))
            time.sleep(_TICK_S)

    def behind(self, destination: str, ends: dict[tuple[str, int], int]) -> str | None:
        """What a destination lacks of `ends`; None when it lacks nothing."""
        behind = self.progress.behind(destination, ends)
        return f"{behind} records aren't durable in {destination} yet" if behind else None

    def end(self) -> None:
        """Let the sinks store what they hold, and all processes end."""
        for program in self.programs:
            program.end()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def last_line(traffic: Program) -> str:
    """The rate that the traffic printed last."""
    lines = traffic.log.read_text(errors="replace").splitlines()
    return " ".join(lines[-1].split()[2:]) if lines else "starting"
