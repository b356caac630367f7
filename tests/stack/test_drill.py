"""Drills and certificates of the real path: that they pass, and above all that they can fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from deploy.local.parts.postgres import server_account
from deploy.local.waiting import wait_for
from replicator import certificate, config, drill
from replicator.control.tasks.rehearsing import Rehearsed as Held
from replicator.control.tasks.rehearsing import Rehearser
from replicator.debezium.envelope import parse_lsn
from replicator.drill.held import take
from replicator.drill.programs import Programs
from replicator.drill.server import own_server
from replicator.points import Keys, new_key, public_pem
from replicator.restore.report import Silent
from replicator.writer.process.pool import Supervisor
from tests.faults.capture import ROOT, Capture, captured
from tests.stack.forgery import Forger, Place, Record

KEY = new_key()
STATEMENTS = (
    "BEGIN; UPDATE guests SET name = 'first' WHERE id = 10; "
    "UPDATE guests SET name = 'second' WHERE id = 10; COMMIT",
    "INSERT INTO weddings (id, title) VALUES (500, 'made')",
    "DELETE FROM guests WHERE id = 20",
    "UPDATE weddings SET title = 'renamed' WHERE id = 3",
    "INSERT INTO visits VALUES ('2026-11-22 12:00Z', '/once', 1)",
    "CREATE INDEX late_index ON weddings (day)",
    "UPDATE weddings SET budget = 1 WHERE id = 5",
)


@dataclass
class Rehearsed:
    """A captured history, its segments in a directory, the source at its end, and a server to restore to."""

    capture: Capture
    store: Path
    held: drill.Held
    server: str
    bin: str
    ground: Path
    """Where drills make their files; open to the account of the servers."""
    since: float
    """Before its first change, in seconds since 1970."""

    def settings(self, store: Path, *, own: bool = False, **sections: object) -> Path:
        """A configuration of the directory as only destination."""
        where = {"postgres_bin": self.bin} if own else {"dsn": self.server}
        return self.capture.write_config(
            f"drill-{uuid4().hex[:6]}",
            destinations={"store": {"type": "file", "path": str(store)}},
            sink={"max_age_s": 0.5, "metrics_port": 0},
            **{
                "control": {"signing_key": KEY},
                "drill": {**where, "deadline_s": 60, "scratch": str(self.ground)},
                **sections,
            },
        )

    def left_behind(self) -> list[Path]:
        return list(self.ground.iterdir())

    def wait_for_server(self) -> int:
        """The process id of a drill's own server, once there is one."""
        found: list[int] = []

        def missing() -> str | None:
            found[:] = [pid for file in self.ground.glob("*/data/postmaster.pid") if (pid := _pid(file))]
            return None if found else f"there are {self.left_behind()}"

        wait_for("a drill's server", missing, 60.0)
        return found[0]

    def rehearse(self, store: Path) -> tuple[drill.Result, drill.Drill]:
        # All there will ever be is there: what is missing isn't waited for.
        where = {"dsn": self.server, "deadline_s": 1, "scratch": str(self.ground)}
        rehearsal = drill.Drill(config.load(self.settings(store, drill=where)), ["store"])
        return rehearsal.run(drill.Wish(held=self.held)), rehearsal


def _pid(file: Path) -> int | None:
    """The server of a postmaster.pid; None while it is being written, or is initdb's (a negative number)."""
    try:
        pid = int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


def wait_for_end(pid: int) -> None:
    running = Path(f"/proc/{pid}")
    wait_for("the server's end", lambda: f"{pid} still runs" if running.exists() else None, 30.0)


@pytest.fixture(scope="module")
def rehearsed(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    folder = tmp_path_factory.mktemp("drill")
    store = folder / "store"
    store.mkdir()
    ground = Path(mkdtemp(prefix="drills-"))
    ground.chmod(0o755)
    begun = time.time()
    with (
        captured(stack, folder / "capture") as made,
        own_server(Programs(Path(stack.postgres.bin), 0), server_account(), None) as server,
    ):
        with psycopg.connect(made.dsn, autocommit=True) as connection:
            for statement in STATEMENTS:
                connection.execute(statement.encode())
        held = take(made.dsn, ["public"], folder, 60.0)
        made.settle()
        found = Rehearsed(made, store, held, server.dsn("postgres"), stack.postgres.bin, ground, begun)
        made.replicator(found.settings(store), "sink", "store", "--once", "--accept-unproven-values")
        yield found
    shutil.rmtree(ground)


@pytest.fixture
def copied(rehearsed: Rehearsed, tmp_path: Path) -> Path:
    """The segments again, to be altered."""
    shutil.copytree(rehearsed.store, tmp_path / "store")
    return tmp_path / "store"


def test_a_faithful_copy_is_equal(rehearsed: Rehearsed, copied: Path) -> None:
    result, rehearsal = rehearsed.rehearse(copied)
    assert (result.state, result.different, result.keys) == (drill.State.EQUAL, (), ()), result.verdict
    assert rehearsal.error is None
    assert {"public.guests", "public.weddings", "public.visits"} <= set(result.tables)
    assert result.rto_s is not None
    assert result.rto_s > 0
    with psycopg.connect(rehearsed.server) as connection:
        left = connection.execute("SELECT count(*) FROM pg_database WHERE datname ~ 'drill'").fetchone()
    assert left == (0,), "the scratch database is still there"


def guest(id_: int, op: str) -> Callable[[Record], bool]:
    return lambda each: row(each, id_, op)


def row(each: Record, id_: int, op: str) -> bool:
    value = each["value"]
    return bool(value["op"] == op and (value["after"] or value["before"])["id"] == id_)


def dropped_insert(forger: Forger) -> tuple[int, str, int]:
    place = forger.one("public.weddings", lambda each: row(each, 500, "c"))
    forger.drop(place)
    return place.xid, "public.weddings", -1


def dropped_delete(forger: Forger) -> tuple[int, str, int]:
    place = forger.one("public.guests", guest(20, "d"))
    forger.drop(place)
    return place.xid, "public.guests", -1


def repeated_insert(forger: Forger) -> tuple[int, str, int]:
    place = forger.one("public.visits", lambda each: each["value"]["after"]["page"] == "/once")
    forger.repeat(place)
    return place.xid, "public.visits", 1


def lost_ddl(forger: Forger) -> tuple[int, str, int]:
    logged = forger.find(
        "replicator.ddl_log", lambda each: "late_index" in (each["value"]["after"]["query"] or "")
    )
    for place in logged:
        forger.drop(place)
    return logged[0].xid, "replicator.ddl_log", -len(logged)


COUNTED = {
    "a record is dropped": (dropped_insert, "public.weddings (500) missing"),
    "a delete is dropped": (dropped_delete, "public.guests (20) unexpected"),
    "a record is repeated": (repeated_insert, 'public.visits ("2026-11-22 12:00:00+00",/once,1) unexpected'),
    "a DDL is lost": (lost_ddl, "index public.late_index"),
}


@pytest.mark.parametrize("name", COUNTED)
def test_what_changes_a_count_is_refused_by_transaction_and_table(
    rehearsed: Rehearsed, copied: Path, name: str
) -> None:
    xid, table, _ = COUNTED[name][0](Forger(copied, rehearsed.capture.name))
    result, rehearsal = rehearsed.rehearse(copied)
    assert (result.state, result.passed) == (drill.State.REFUSED, False)
    assert result.error is not None
    assert table in result.error
    assert str(xid) in result.error
    assert rehearsal.error is not None


@pytest.mark.parametrize("name", COUNTED)
def test_with_counts_made_to_fit_the_comparison_names_it(
    rehearsed: Rehearsed, copied: Path, name: str
) -> None:
    mutation, words = COUNTED[name]
    forger = Forger(copied, rehearsed.capture.name)
    forger.count(*mutation(forger))
    result, _ = rehearsed.rehearse(copied)
    assert (result.state, result.passed) == (drill.State.DIFFERENT, False), result.verdict
    assert words in "\n".join((*result.different, *result.keys))


def altered_value(forger: Forger, _: drill.Held) -> None:
    place = forger.one("public.weddings", lambda each: row(each, 3, "u"))
    forger.change(place, lambda value: value["after"].update(title="forged"))


def swapped_updates(forger: Forger, _: drill.Held) -> None:
    first, second = forger.find("public.guests", guest(10, "u"))
    for place, other in ((first, second), (second, first)):
        forger.change(place, lambda value, other=other: value.update(after=other.record["value"]["after"]))  # type: ignore[misc]


def shifted_cut(forger: Forger, held: drill.Held) -> None:
    """The last transaction seems to have been committed just after the point."""
    place: Place = forger.one("public.weddings", lambda each: row(each, 5, "u"))
    forger.end_at(place.xid, parse_lsn(held.lsn) + 1)


UNCOUNTED = {
    "a value is altered": (altered_value, "public.weddings (3) changed"),
    "two records are swapped": (swapped_updates, "public.guests (10) changed"),
    "the cut is shifted by one transaction": (shifted_cut, "public.weddings (5) changed"),
}


@pytest.mark.parametrize("name", UNCOUNTED)
def test_what_no_count_can_see_the_comparison_names(rehearsed: Rehearsed, copied: Path, name: str) -> None:
    mutation, words = UNCOUNTED[name]
    mutation(Forger(copied, rehearsed.capture.name), rehearsed.held)
    result, _ = rehearsed.rehearse(copied)
    assert (result.state, result.passed) == (drill.State.DIFFERENT, False), result.verdict
    assert [each for each in result.keys if words in each] == list(result.keys), "and nothing else differs"
    assert result.keys


def command(path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "replicator", "-c", str(path), *arguments]


def test_a_drill_of_now_on_a_server_of_its_own_passes_and_is_remembered(
    rehearsed: Rehearsed,
) -> None:
    """As people call it, with a sink that runs beside it; every machine with the destination sees it."""
    store = rehearsed.store
    path = rehearsed.settings(store, own=True)
    sink = subprocess.Popen(
        command(path, "sink", "store", "--accept-unproven-values"), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        done = rehearsed.capture.replicator(path, "drill", "--json")
        by_control = scheduled(path)
    finally:
        sink.terminate()
        sink.wait(60)
    said = json.loads(done.stdout)
    assert (said["state"], said["passed"], said["warnings"]) == ("equal", True, [])
    assert (by_control.state, by_control.facts["passed"]) == ("equal", 1.0), by_control.words
    assert 0 <= said["rpo_s"] < time.time() - rehearsed.since
    assert said["rto_s"] > 0
    kept, _ = sorted(store.glob("v1/drills/*.json"))
    checking = config.load(rehearsed.settings(store, control={"public_keys": [public_pem(KEY)]}))
    _, remembered = drill.read(checking, ["store"], 1, time.time()).drills
    assert (remembered.id, remembered.state) == (said["id"], drill.State.EQUAL)
    kept.write_text(kept.read_text().replace('"rto_s"', '"rto_s": 0.001, "was"'))
    found = drill.read(checking, ["store"], 1, time.time())
    assert len(found.drills) == 1
    assert "altered" in found.warnings[0]
    shown = rehearsed.capture.replicator(path, "drill", "--history")
    assert "altered" in shown.stdout
    assert not rehearsed.left_behind()


def scheduled(path: Path) -> Held:
    """What a drill finds that control holds."""
    rehearser = Rehearser(config.load(path), Supervisor())
    try:
        rehearser.want()
        done: list[Held] = []

        def missing() -> str | None:
            done.extend(rehearser.take())
            return None if done else "it told nothing"

        wait_for("control's drill", missing, 90.0)
    finally:
        rehearser.close()
    return done[0]


def test_a_leader_that_steps_down_ends_its_drill_and_leaves_nothing(rehearsed: Rehearsed) -> None:
    rehearser = Rehearser(config.load(rehearsed.settings(rehearsed.store, own=True)), Supervisor())
    rehearser.want()
    server = rehearsed.wait_for_server()
    rehearser.close()
    wait_for_end(server)
    wait_for(
        "the drill's files to be gone",
        lambda: f"{left} are there" if (left := rehearsed.left_behind()) else None,
        30.0,
    )
    assert rehearser.take() == []


class Killer(Silent):
    """Kills the scratch server when rows are being loaded."""

    def __init__(self, ground: Path) -> None:
        self._ground = ground
        self.killed = 0

    def phase(self, name: str) -> None:
        if name == "loading rows":
            [file] = self._ground.glob("*/data/postmaster.pid")
            self.killed = _pid(file) or 0
            os.kill(self.killed, signal.SIGKILL)


def test_a_scratch_server_that_dies_in_the_middle_is_told_and_leaves_nothing(
    rehearsed: Rehearsed,
) -> None:
    killer = Killer(rehearsed.ground)
    path = rehearsed.settings(rehearsed.store, own=True)
    rehearsal = drill.Drill(config.load(path), ["store"], killer)
    result = rehearsal.run(drill.Wish(held=rehearsed.held))
    assert killer.killed
    assert result.state is drill.State.BROKEN
    assert result.error is not None
    assert "gone in the middle of the drill: it ended with signal SIGKILL" in result.error
    assert isinstance(rehearsal.error, drill.DrillError)
    assert not rehearsed.left_behind()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_drill_that_is_ended_leaves_no_server_and_no_files(
    rehearsed: Rehearsed, number: signal.Signals
) -> None:
    """Of one that is killed the kernel ends the server, and the next drill removes the files."""
    path = rehearsed.settings(rehearsed.store, own=True)
    process = subprocess.Popen(
        command(path, "drill", "--to-lsn", rehearsed.held.lsn, "--no-keep"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = rehearsed.wait_for_server()
    finally:
        process.send_signal(number)
        process.wait(60)
    wait_for_end(server)
    if number is signal.SIGKILL:
        assert rehearsed.left_behind()
        rehearsed.rehearse(rehearsed.store)
    assert not rehearsed.left_behind()


def test_a_drill_never_goes_to_the_source_itself(rehearsed: Rehearsed, stack: Endpoints) -> None:
    path = rehearsed.settings(rehearsed.store, drill={"dsn": stack.postgres.dsn})
    rehearsal = drill.Drill(config.load(path), ["store"])
    result = rehearsal.run(drill.Wish(held=rehearsed.held))
    assert result.state is drill.State.BROKEN
    assert "source's own server" in str(result.error)


def test_a_restore_is_certified_and_the_certificate_checked_against_the_bucket(
    rehearsed: Rehearsed, copied: Path, tmp_path: Path
) -> None:
    name = f"c{uuid4().hex[:10]}"
    with psycopg.connect(rehearsed.server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    target = rehearsed.server.replace("dbname=postgres", f"dbname={name}")
    path = rehearsed.settings(copied)
    to, file = rehearsed.held.lsn, tmp_path / "certificate.json"
    run = rehearsed.capture.replicator
    run(path, "restore", "--to-lsn", to, "--target", target, "--certificate", str(file), "--digests")
    signed = certificate.decode(file.read_text(), "it")
    keys = Keys(config.Control(public_keys=[public_pem(KEY)]))
    assert "signature verified" in certificate.believe(signed, keys, "it")
    with psycopg.connect(target) as connection:
        [kept] = connection.execute("SELECT certificate FROM replicator_restore.state").fetchone() or [None]
        assert certificate.decode(str(kept), "it") == signed
        said = {one.table: one.rows for one in signed.certificate.tables}
        for table in ("guests", "visits", "weddings"):
            assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (
                said[f"public.{table}"],
            )
    digests = {one.table: one.digest for one in signed.certificate.digests}
    held = {name: found.digest for name, found in rehearsed.held.digests.tables.items()}
    assert {name: digests[name] for name in held} == held, "of the restored rows, and so the source's"

    def check(*more: str) -> tuple[int, str]:
        done = run(path, "check-certificate", str(file), *more, check=False)
        return done.returncode, done.stdout + done.stderr

    assert check("--deep", "--target", target)[0] == 0
    with psycopg.connect(target) as connection:
        connection.execute("UPDATE weddings SET title = 'touched' WHERE id = 7")
    code, words = check("--target", target)
    assert (code, "public.weddings: 41 rows in the certificate" in words) == (5, True), words
    altered, gone = (copied / one.key for one in signed.certificate.objects[:2])
    altered.write_bytes(altered.read_bytes()[:-1] + b"!")
    gone.unlink()
    code, words = check()
    assert code == 5
    assert f"gone: {signed.certificate.objects[1].key}" in words
    assert f"altered: {signed.certificate.objects[0].key}" in words
    with psycopg.connect(rehearsed.server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
