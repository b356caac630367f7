"""People are told: a real receiver of HTTP, real events of control, processes that are killed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.endpoints import Endpoints
from replicator.control.events import topic
from replicator.control.events.event import Event, Kind
from replicator.control.events.journal import Journal
from tests.faults.sinks import Process, wait_for
from tests.stack.controlled import Controlled, controlled


class Receiver:
    """Takes notices as JSON over HTTP; `broken` has it answer 503."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refused = 0
        self.broken = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.broken:
                    receiver.refused += 1
                else:
                    receiver.taken.append(body)
                self.send_response(503 if receiver.broken else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self._server.server_address[1]}/"

    def titles(self) -> list[str]:
        return [each["title"] for each in self.taken]

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Written:
    """The control topic of an installation, written as a leader writes it."""

    def __init__(self, installation: Controlled, config: Path) -> None:
        settings = installation.settings(config)
        topic.ensure(settings)
        self._journal = Journal(settings)
        self._number = 0
        self.write(Kind.LEADER)

    def write(self, kind: Kind, subject: str | None = None, destination: str | None = None) -> None:
        self._number += 1
        at_ms = int(time.time() * 1000)
        event = Event(kind, at_ms, "a test", f"{kind} {subject}", destination, subject, epoch=1)
        self._journal.write([Event(**{**_fields(event), "number": self._number})], ())


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__slots__}


@pytest.fixture
def installation(stack: Endpoints, tmp_path: Path) -> Iterator[Controlled]:
    with controlled(stack, tmp_path / "notify") as made:
        yield made


def configured(installation: Controlled, *receivers: Receiver) -> Path:
    config = installation.config({"first": installation.directory_of("first")})
    document = yaml.safe_load(config.read_text())
    document["notify"] = {"urls": [each.url for each in receivers], "metrics_port": 0}
    config.write_text(yaml.safe_dump(document))
    return config


def told(receiver: Receiver, titles: list[str], process: Process) -> None:
    def lack() -> str | None:
        return None if receiver.titles() == titles else f"{receiver.titles()}, not {titles}"

    try:
        wait_for("notice", lack, 30)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{process.said[-4000:]}") from None


def test_people_are_told_once_whoever_is_killed_and_told_when_it_is_over(
    installation: Controlled, receiver: Receiver
) -> None:
    config = configured(installation, receiver)
    name = installation.raw.name
    written = Written(installation, config)
    with Process(config, "notify") as first:
        written.write(Kind.HEALTH, "down", "first")
        told(receiver, [f"[{name}] first is down"], first)
        wait_for("commit", lambda: None if '"told"' in first.said else first.said[-500:], 30)
        first.end()
    with Process(config, "notify") as second:
        written.write(Kind.ALERT, "slot_lost")
        told(receiver, [f"[{name}] first is down", f"[{name}] slot lost"], second)
        assert receiver.taken[1]["type"] == "failure" and "alert slot_lost" in receiver.taken[1]["message"]
        second.kill()
    with Process(config, "notify") as third:
        written.write(Kind.HEALTH, "healthy", "first")
        wait_for(
            "the end",
            lambda: None if f"[{name}] over: first is down" in receiver.titles() else str(receiver.titles()),
            60,
        )
        # Killed between telling and committing it may be told twice; never more, and never not at all.
        assert receiver.titles().count(f"[{name}] first is down") == 1
        assert receiver.titles().count(f"[{name}] slot lost") in (1, 2)
        third.end()


def test_a_receiver_that_is_down_is_told_later_and_holds_nobody_up(
    installation: Controlled, receiver: Receiver
) -> None:
    other = Receiver()
    try:
        config = configured(installation, receiver, other)
        title = f"[{installation.raw.name}] fewer copies than promised"
        written = Written(installation, config)
        receiver.broken = True
        with Process(config, "notify") as process:
            written.write(Kind.PROMISE_BROKEN)
            told(other, [title], process)
            wait_for("a refusal", lambda: None if receiver.refused else "none", 30)
            receiver.broken = False
            told(receiver, [title], process)
            assert other.titles() == [title]
    finally:
        other.close()


def test_a_url_that_is_none_is_refused_and_a_test_notice_says_who_took_it(
    installation: Controlled, receiver: Receiver
) -> None:
    config = configured(installation, receiver)
    done = installation.raw.replicator(config, "notify", "--test")
    assert "notify.urls[0] (json) took it" in done.stdout
    assert receiver.titles() == [f"[{installation.raw.name}] a test"]
    receiver.broken = True
    done = installation.raw.replicator(config, "notify", "--test", check=False)
    assert done.returncode == 1 and "didn't take a test notice" in done.stderr
    document = yaml.safe_load(config.read_text())
    document["notify"]["urls"] = ["nonsense-with-a-secret"]
    config.write_text(yaml.safe_dump(document))
    done = installation.raw.replicator(config, "notify", check=False)
    assert done.returncode == 2 and "notify.urls[0]" in done.stderr and "secret" not in done.stderr
