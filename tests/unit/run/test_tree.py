"""The supervisor with real processes: restarts, draining, orphans, what it serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parents[3]
_DEADLINE_S = 30.0

STEADY = """
import signal, sys, threading
from replicator.supervisor.parent import follow_parent
from replicator.telemetry import RunMetrics
from replicator.writer.process import health
from replicator.writer.process.pool import Supervisor
follow_parent()
end = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: end.set())
state, metrics = health.Health(), RunMetrics()
metrics.up.labels("of " + "{name}").set(1)
state.joined()
if {standby}:
    state.trouble("duty", "it is a standby, and waits")
health.serve(state, metrics, Supervisor(), "127.0.0.1", 1)
print("up {name}", flush=True)
end.wait()
print("drained {name}", flush=True)
"""
DEAF = """
import signal, threading
from replicator.supervisor.parent import follow_parent
follow_parent()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
threading.Event().wait()
"""


def steady(name: str, *, standby: bool = False) -> str:
    return STEADY.format(name=name, standby=standby)


class SmallTree:
    """The process, and what it said so far."""

    def __init__(self, programs: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.run.small_tree", json.dumps(programs)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.said: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    def wait_for(self, what: str, found: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            result = found()
            if result:
                return result
            assert time.monotonic() < deadline, f"no {what}: {self.said}"
            time.sleep(0.02)

    def events(self, event: str, child: str | None = None) -> list[dict[str, Any]]:
        return [
            each for each in self.said if each["event"] == event and (child is None or each["child"] == child)
        ]

    def lines(self) -> list[str]:
        return [each["line"] for each in self.events("line")]

    def up(self, *names: str) -> None:
        self.wait_for(f"{names} up", lambda: all(f"up {name}" in self.lines() for name in names))

    @property
    def address(self) -> str:
        return str(self.wait_for("address", lambda: self.events("serving"))[0]["health"])

    def ready(self) -> tuple[int, dict[str, str]]:
        answer = requests.get(f"{self.address}/readyz", timeout=10)
        return answer.status_code, answer.json()["problems"]

    def pids(self) -> dict[str, int]:
        return {each["child"]: each["pid"] for each in self.events("started")}

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        return self._process.wait(_DEADLINE_S)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(_DEADLINE_S)


Grow = Callable[[dict[str, str]], SmallTree]


@pytest.fixture
def grow() -> Iterator[Grow]:
    grown: list[SmallTree] = []

    def one(programs: dict[str, str]) -> SmallTree:
        grown.append(SmallTree(programs))
        return grown[-1]

    yield one
    for tree in grown:
        tree.kill()


def gone(pid: int) -> bool:
    """Whether no such process runs; one that only waits to be reaped doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def test_a_child_that_is_killed_is_started_again_and_the_others_are_left_alone(grow: Grow) -> None:
    tree = grow({"one": steady("one"), "two": steady("two")})
    tree.up("one", "two")
    before = tree.pids()
    os.kill(before["one"], signal.SIGKILL)
    tree.wait_for("second start", lambda: len(tree.events("started", "one")) == 2)
    [ended] = tree.events("ended", "one")
    assert ended["status"] == -signal.SIGKILL and ended["restart_in_s"] <= 0.05
    tree.wait_for("readiness", lambda: tree.ready()[0] == 200)
    assert tree.pids()["two"] == before["two"]
    text = requests.get(f"{tree.address}/metrics", timeout=10).text
    assert 'replicator_run_child_ends_total{child="one"} 1.0' in text


def test_sigterm_has_all_drain_and_ends_well(grow: Grow) -> None:
    tree = grow({"one": steady("one"), "two": steady("two")})
    tree.up("one", "two")
    tree.signal(signal.SIGTERM)
    assert tree.end() == 0
    tree.wait_for("last words", lambda: {"drained one", "drained two"} <= set(tree.lines()))
    assert {each["status"] for each in tree.events("ended")} == {0}


def test_what_does_not_drain_is_killed_at_the_deadline_and_named(grow: Grow) -> None:
    tree = grow({"deaf": DEAF, "one": steady("one")})
    tree.up("one")
    tree.wait_for("deaf child", lambda: "up" in tree.lines())
    tree.signal(signal.SIGTERM)
    assert tree.end() == 1
    [error] = tree.wait_for("error", lambda: tree.events("error"))
    assert error["line"].startswith("deaf didn't end within 2 s and was killed. Nothing is lost")
    assert gone(tree.pids()["deaf"])


def test_a_supervisor_that_is_killed_leaves_no_orphan(grow: Grow) -> None:
    tree = grow({"deaf": DEAF, "one": steady("one")})
    tree.up("one")
    tree.wait_for("deaf child", lambda: "up" in tree.lines())
    tree.kill()
    tree.wait_for("end of the children", lambda: all(gone(pid) for pid in tree.pids().values()))


def test_a_refused_configuration_is_given_up_said_and_tried_again_on_sighup(
    grow: Grow, tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    refused = (
        f"import sys, pathlib\nif not pathlib.Path({str(mended)!r}).exists():\n"
        "    print('error: sink.max_age: unknown key', flush=True)\n    sys.exit(2)\n"
    )
    tree = grow({"wrong": refused + steady("wrong"), "one": steady("one")})
    tree.up("one")
    tree.wait_for("surrender", lambda: tree.events("given_up", "wrong"))
    assert len(tree.events("started", "wrong")) == 3
    status, problems = tree.ready()
    assert status == 503
    assert problems == {"wrong": "given up: its configuration was refused (exit status 2)"}
    mended.touch()
    tree.signal(signal.SIGHUP)
    tree.up("wrong")
    tree.wait_for("readiness", lambda: tree.ready()[0] == 200)


def test_a_tree_that_can_start_nothing_ends_as_a_configuration_error(grow: Grow) -> None:
    tree = grow({"wrong": "import sys; sys.exit(2)"})
    assert tree.end() == 2
    [error] = tree.wait_for("error", lambda: tree.events("error"))
    assert "No role can be started" in error["line"]


def test_figures_of_all_children_stand_on_one_page_with_their_roles(grow: Grow) -> None:
    tree = grow({"one": steady("one"), "two": steady("two")})
    tree.up("one", "two")
    text = requests.get(f"{tree.address}/metrics", timeout=10).text
    assert 'replicator_run_child_up{role="one",child="of one"} 1.0' in text
    assert 'replicator_run_child_up{role="two",child="of two"} 1.0' in text
    assert 'replicator_run_child_up{child="one"} 1.0' in text
    assert text.count("# TYPE replicator_run_child_up gauge") == 1


def test_a_standby_that_waits_does_not_make_the_tree_unready(grow: Grow) -> None:
    tree = grow({"one": steady("one"), "spare": steady("spare", standby=True)})
    tree.up("one", "spare")
    tree.wait_for("readiness", lambda: tree.ready() == (200, {}))
