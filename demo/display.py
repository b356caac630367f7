"""What the demonstration shows while it runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.processes import Stored

_WINDOW_S = 5.0
_LINE_EVERY_S = 5.0


@dataclass(slots=True)
class Flow:
    """What has arrived at a destination: sums, and the last few seconds."""

    segments: int = 0
    records: int = 0
    bytes: int = 0
    behind: int = 0
    members: int = 0
    on_duty: bool = True
    recent: deque[tuple[float, Stored]] = field(default_factory=deque)

    def add(self, stored: Iterable[Stored]) -> None:
        """Take in newly stored segments."""
        now = time.monotonic()
        for segment in stored:
            self.segments += 1
            self.records += segment.records
            self.bytes += segment.bytes
            self.recent.append((now, segment))
        while self.recent and now - self.recent[0][0] > _WINDOW_S:
            self.recent.popleft()

    @property
    def rate(self) -> float:
        """Records a second over the last seconds."""
        return sum(segment.records for _, segment in self.recent) / _WINDOW_S

    @property
    def age(self) -> float:
        """Seconds from Kafka to durable of the oldest record of each recent segment: the worst of them."""
        return max((segment.age_s or 0.0 for _, segment in self.recent), default=0.0)


class Display:
    """Steps with their times, and the flow in between."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._begin = time.monotonic()
        self._live: Live | None = None
        self._last_line = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begin

    def step(self, text: str) -> None:
        """Something begins, or has happened."""
        self.console.print(f"[dim]{self.elapsed:6.1f} s[/dim]  {text}")

    def result(self, text: str) -> None:
        """What came of it, below the step."""
        self.console.print(f"          {text}")

    def flow(self, transactions: str, flows: dict[str, Flow]) -> None:
        """The traffic and what arrives, redrawn in place on a terminal, a line now and then elsewhere."""
        if self.console.is_terminal:
            if self._live is None:
                self._live = Live(console=self.console, refresh_per_second=4, transient=True)
                self._live.start()
            self._live.update(_table(transactions, flows))
            return
        if time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            arriving = "; ".join(
                f"{name}: {flow.rate:.0f} records/s, {flow.behind} behind, {flow.age:.1f} s to durable"
                if flow.on_duty
                else f"{name}: standby"
                for name, flow in flows.items()
            )
            self.console.print(f"[dim]{self.elapsed:6.1f} s[/dim]    traffic {transactions}; {arriving}")

    def still(self) -> None:
        """End the live panel."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _table(transactions: str, flows: dict[str, Flow]) -> Table:
    table = Table(title=f"traffic: {transactions}", title_justify="left", box=None, padding=(0, 2))
    for heading in ("destination", "instances", "records/s", "behind", "to durable", "segments", "MiB"):
        table.add_column(heading, justify="left" if heading == "destination" else "right")
    for name, flow in flows.items():
        table.add_row(
            name if flow.on_duty else f"{name} (standby)", str(flow.members), f"{flow.rate:,.0f}",
            f"{flow.behind:,}", f"{flow.age:.1f} s",
            f"{flow.segments:,}", f"{flow.bytes / 2**20:.1f}",
        )  # fmt: skip
    return table
