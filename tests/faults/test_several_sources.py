"""A restore from several destinations of which none is whole, and one that dies while it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from replicator import compare
from replicator.storage.file import FileStore
from replicator.verify import holdings
from replicator.verify.holdings import ROOT, Held
from tests.faults.capture import Capture
from tests.faults.moments import SCHEMAS, Moment, remember
from tests.faults.place import Place, place_of
from tests.faults.proxy import Action, FaultProxy, Request
from tests.faults.sinks import Sink
from tests.faults.test_damage import alter, overwrite, truncate


@dataclass
class Two:
    """A bucket behind a proxy and a directory, filled by sinks that cut differently; `moment` is in both."""

    capture: Capture
    place: Place
    proxy: FaultProxy
    disk: Path
    config: Path
    moment: Moment

    def held(self, name: str) -> list[Held]:
        store = FileStore(self.disk) if name == "disk" else self.place.store
        return list(holdings.read(store.list(ROOT)).all)

    def restore(self, *sources: str, plan: bool = False) -> tuple[int, Any, str]:
        """Exit status, report, and what was said; a result has been compared with the source."""
        target = f"{self.capture.name}_{uuid4().hex[:8]}"
        dsn = self.capture.endpoints.postgres.dsn_of(target)
        named = [word for source in sources for word in ("--from", source)]
        with psycopg.connect(self.capture.endpoints.postgres.dsn, autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{target}"'.encode())
            try:
                done = self.capture.replicator(
                    self.config,
                    *("restore", *named, "--to-lsn", self.moment.lsn, "--json"),
                    *(("--plan",) if plan else ("--target", dsn)),
                    check=False,
                )
                if done.returncode == 0 and not plan:
                    report = compare.compare(self.moment.digests, compare.capture(dsn, schemas=SCHEMAS))
                    assert report.equal, "\n".join(report.lines())
                    assert report.rows > 400
            finally:
                admin.execute(f'DROP DATABASE "{target}" WITH (FORCE)'.encode())
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stdout + done.stderr


@pytest.fixture(scope="module")
def filled(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    disk = tmp_path_factory.mktemp("second")
    with place_of(capture) as place, FaultProxy(place.server.url) as proxy:
        moment = remember(capture)
        ends = capture.settle()
        destinations = {
            place.name: {
                "type": "s3",
                "bucket": place.bucket,
                "endpoint_url": proxy.url,
                "region": "us-east-1",
                "access_key_id": place.server.access_key,
                "secret_access_key": place.server.secret_key,
                # Longer than the server ever takes: who is given up is what these tests are about.
                "connect_timeout_s": 10.0,
                "read_timeout_s": 30.0,
            },
            "disk": {"type": "file", "path": str(disk)},
        }
        configs = {}
        for name, size in ((place.name, 96 * 1024), ("disk", 64 * 1024)):
            # Cut by size alone: by age, what is cut where depends on how fast the machine is.
            settings = {"segment_bytes": size, "max_age_s": 60.0, "drain_deadline_s": 10.0}
            configs[name] = capture.write_config(
                f"two-{name}-{uuid4().hex[:6]}", destinations=destinations, sink=settings
            )
            with Sink(configs[name], name, "--once") as sink:
                status = sink.wait(120)
                assert status == 0, f"the sink of {name} ended with {status}:\n{sink.said[-4000:]}"
        place.until_reached(ends)
        yield Two(capture, place, proxy, disk, configs[place.name], moment)


@pytest.fixture
def two(filled: Two) -> Iterator[Two]:
    """Both whole before, and whole again afterwards."""
    with kept(filled):
        yield filled


@contextmanager
def kept(two: Two) -> Iterator[None]:
    bodies = {held.name: two.place.store.get(held.name.key()) for held in two.held("bucket")}
    disk = FileStore(two.disk)
    files = {held.name: disk.get(held.name.key()) for held in two.held("disk")}
    try:
        yield
    finally:
        two.proxy.rule = lambda _: None
        for name, body in bodies.items():
            overwrite(two.place, name, body)
        for name, body in files.items():
            (two.disk / name.key()).write_bytes(body)


def covered(held: Held, others: Sequence[Held]) -> bool:
    """Whether every offset of `held` is in one of `others`; a chain's are in the order of their offsets."""
    at = held.name.first
    for other in others:
        if other.name.chain == held.name.chain and other.name.first <= at:
            at = max(at, other.name.next)
    return at >= held.name.next


def test_two_destinations_that_are_both_damaged_make_one_whole_restore(two: Two) -> None:
    bucket, disk = two.held("bucket"), two.held("disk")
    bad, good = bucket[::2], bucket[1::2]
    for number, held in enumerate(bad):
        body = two.place.store.get(held.name.key())
        overwrite(two.place, held.name, (alter(body), truncate(body), None)[number % 3])
    # Not what the disk alone has: its sink ran later, and the heartbeat beats all the time.
    gone = [held for held in disk if covered(held, good)]
    assert bad
    assert gone
    for number, held in enumerate(gone):
        path = two.disk / held.name.key()
        path.unlink() if number % 2 else path.write_bytes(truncate(path.read_bytes()))

    for alone in (two.place.name, "disk"):
        status, _, said = two.restore(alone)
        assert status in (4, 5), f"exit status {status}:\n{said}"
        assert "Traceback" not in said

    status, plan, said = two.restore(plan=True)
    assert status == 0, said
    assert all(plan["sources"][name]["segments"] > 0 for name in (two.place.name, "disk"))
    status, report, said = two.restore(two.place.name, "disk")
    assert status == 0, said
    assert all(report["sources"][name]["segments"] > 0 for name in (two.place.name, "disk"))
    assert report["replaced"]
    assert not any(share["failed"] for share in report["sources"].values())


def test_a_source_that_dies_in_the_middle_is_replaced_without_starting_over(two: Two) -> None:
    asked: list[str] = []

    def dies(request: Request) -> Action:
        if request.method == "GET" and "/v1/changes/" in request.target and "list-type" not in request.target:
            asked.append(request.target)
            if "guests" in request.target and sum("guests" in each for each in asked) > 3:
                two.proxy.down()
        return None

    two.proxy.rule = dies
    try:
        status, report, said = two.restore(two.place.name, "disk")
    finally:
        two.proxy.up()
    assert status == 0, said
    assert report["sources"][two.place.name]["failed"], "it was down, and nobody noticed"
    assert report["sources"][two.place.name]["segments"] > 0, "it was down before anything was read from it"
    assert report["sources"]["disk"]["segments"] > 0
    assert report["replaced"]


def test_a_source_that_is_down_from_the_beginning_is_left_out(two: Two) -> None:
    two.proxy.down()
    try:
        status, report, said = two.restore()
    finally:
        two.proxy.up()
    assert status == 0, said
    assert report["sources"][two.place.name]["failed"]
