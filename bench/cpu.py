"""Where CPU time goes while something is measured: read from /proc, per process and per thread."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def of_process(pid: int) -> float:
    """CPU seconds of the process so far, its ended threads included; 0 when it's gone."""
    return _seconds(Path(f"/proc/{pid}/stat"))


def of_main_thread(pid: int) -> float:
    """CPU seconds of the process's first thread so far: in Python, the one that holds the GIL longest."""
    return _seconds(Path(f"/proc/{pid}/task/{pid}/stat"))


def with_children(pid: int) -> float:
    """CPU seconds of a process and of its children, also those that have ended: of a whole PostgreSQL."""
    total = _seconds(Path(f"/proc/{pid}/stat"), waited_for=True)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            total += _seconds(stat)
    return total


def of_machine() -> float:
    """CPU seconds that all processes together have used since boot, idle and stolen time left out."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / _TICKS


def _seconds(stat: Path, *, waited_for: bool = False) -> float:
    """User and system time; with `waited_for` also that of children that have ended."""
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11 : 15 if waited_for else 13])) / _TICKS


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds at one moment: named processes, their main threads, and the machine."""

    at: float
    processes: dict[str, float]
    main_threads: dict[str, float]
    machine: float

    @classmethod
    def of(cls, pids: dict[str, int]) -> Reading:
        """Read them all now."""
        return cls(
            time.monotonic(),
            {name: of_process(pid) for name, pid in pids.items()},
            {name: of_main_thread(pid) for name, pid in pids.items()},
            of_machine(),
        )


def limit(before: Reading, after: Reading, sinks: list[str]) -> str:
    """What kept it from going faster, in words, with the shares of one core that were measured."""
    seconds = after.at - before.at
    cores = os.cpu_count() or 1
    used = {name: (after.processes[name] - before.processes[name]) / seconds for name in before.processes}
    machine = (after.machine - before.machine) / seconds
    loops = [(after.main_threads[name] - before.main_threads[name]) / seconds for name in sinks]
    others = machine - sum(used.values())
    shares = ", ".join(f"{name} {share:.2f}" for name, share in used.items())
    measured = f"{machine:.2f} of {cores} cores busy: {shares}, others {others:.2f}; loops {max(loops):.2f}"
    if machine >= 0.9 * cores:
        return f"CPU of the machine ({measured})"
    if max(loops) >= 0.85:
        return f"one sink's loop, a single Python thread ({measured})"
    return f"waiting: broker, store or locks ({measured})"
