"""`replicator run` on the real stack: one command is a whole installation, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.endpoints import Endpoints
from replicator.storage import open_store
from tests.faults import chains
from tests.faults.capture import ROOT
from tests.faults.sinks import wait_for
from tests.stack.controlled import Controlled, controlled
from tests.unit.run.test_tree import gone


class Run:
    """One `replicator run`: what it says of its children on standard output, and its logs, are files."""

    def __init__(self, config: Path, *arguments: str) -> None:
        self.log = config.with_name(f"run-{time.monotonic_ns()}.log")
        self._told = self.log.with_suffix(".json")
        with self.log.open("wb") as log, self._told.open("wb") as told:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "replicator", "-c", str(config)),
                    *("run", "--json", "--accept-unproven-values", *arguments),
                ],
                cwd=ROOT,
                env={**os.environ, "REPLICATOR_RUN__METRICS_PORT": "0"},
                stdout=told,
                stderr=log,
            )

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._told.read_text().splitlines(keepends=True) if "\n" in line]

    def pid(self, child: str) -> int:
        return int([e["pid"] for e in self.told if e["event"] == "started" and e["child"] == child][-1])

    def until(self, what: str, missing: Callable[[], str | None], deadline_s: float = 60.0) -> None:
        try:
            wait_for(what, missing, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-6000:]}") from None

    def restarted(self, child: str, before: int) -> None:
        """Wait until another process than `before` is the child."""
        self.until(f"new {child}", lambda: None if self.pid(child) != before else "it is the former one")

    def get(self, path: str) -> requests.Response | None:
        serving = [each for each in self.told if each["event"] == "serving"]
        return requests.get(f"{serving[0]['health']}{path}", timeout=10) if serving else None

    def unready(self) -> str | None:
        answer = self.get("/readyz")
        if answer is None:
            return "nothing is served yet"
        return None if answer.status_code == 200 else answer.text

    def lacks(self, sample: str) -> str | None:
        answer = self.get("/metrics")
        return None if answer is not None and sample in answer.text else f"{sample} isn't in /metrics"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        return self._process.wait(90)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)


@pytest.fixture
def installation(stack: Endpoints, tmp_path: Path) -> Iterator[Controlled]:
    with controlled(stack, tmp_path / "run") as made:
        yield made


@pytest.fixture
def start(installation: Controlled) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []

    def one(config: Path, *arguments: str) -> Run:
        started.append(Run(config, *arguments))
        return started[-1]

    yield one
    for each in started:
        each.kill()


def test_one_command_stores_publishes_survives_kills_and_drains(
    installation: Controlled, start: Callable[..., Run]
) -> None:
    config = installation.config({name: installation.directory_of(name) for name in ("first", "second")})
    stores = {
        name: open_store(installation.settings(config).destination(name)) for name in ("first", "second")
    }

    def all_stored() -> str | None:
        ends = installation.raw.ends()
        lacks = {name: chains.behind(store, ends) for name, store in stores.items()}
        return str(lacks) if any(lacks.values()) else None

    run = start(config, "--instances", "first=2")
    installation.commit()
    run.until("everything stored", all_stored)
    run.until("readiness", run.unready)
    run.until("a leader", lambda: run.lacks('replicator_control_leader{role="control"} 1.0'))
    run.until(
        "a restore point", lambda: run.lacks('replicator_rpo_seconds{role="control",destination="first"}')
    )
    assert run.lacks('replicator_sink_records_total{role="sink",destination="first",member="2"}') is None

    for child in ("sink:second:1", "control"):
        before = run.pid(child)
        os.kill(before, signal.SIGKILL)
        run.restarted(child, before)
    installation.commit()
    run.until("everything stored", all_stored)
    run.until("readiness", run.unready)
    run.until("a leader", lambda: run.lacks('replicator_control_leader{role="control"} 1.0'))

    installation.commit()
    run.signal(signal.SIGTERM)
    assert run.end() == 0, run.log.read_text()[-4000:]
    logged = [json.loads(line) for line in run.log.read_text().splitlines()]
    assert {each["role"] for each in logged} == {
        "run",
        "control",
        "sink:first:1",
        "sink:first:2",
        "sink:second:1",
        "replay:first",
        "replay:second",
    }


def test_a_tree_whose_supervisor_is_killed_is_gone_and_the_next_one_goes_on(
    installation: Controlled, start: Callable[..., Run]
) -> None:
    config = installation.config({"first": installation.directory_of("first")})
    store = open_store(installation.settings(config).destination("first"))
    run = start(config)
    run.until("readiness", run.unready)
    pids = [run.pid(child) for child in ("sink:first:1", "control")]
    run.kill()
    wait_for("the children's end", lambda: str(pids) if not all(map(gone, pids)) else None, 10)
    installation.commit()
    again = start(config)
    again.until("everything stored", lambda: chains.behind(store, installation.raw.ends()))
    again.signal(signal.SIGINT)
    assert again.end() == 0, again.log.read_text()[-4000:]


def test_control_without_a_key_is_given_up_and_the_sinks_go_on(
    installation: Controlled, start: Callable[..., Run]
) -> None:
    config = installation.config({"first": installation.directory_of("first")}, signing_key=None)
    store = open_store(installation.settings(config).destination("first"))
    run = start(config)
    installation.commit()
    run.until("everything stored", lambda: chains.behind(store, installation.raw.ends()))
    run.until("surrender", lambda: run.lacks('replicator_run_child_given_up{child="control"} 1.0'))
    assert "control" in (run.unready() or "")
    assert "signing" in run.log.read_text()
