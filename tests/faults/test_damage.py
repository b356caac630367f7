"""Segments altered, cut short or removed behind everybody's back: found, named, and never restored."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from replicator.segment.name import SegmentName
from tests.faults import chains
from tests.faults.capture import Capture
from tests.faults.moments import Moment, remember, restore_equals
from tests.faults.place import Place, place_of
from tests.faults.raw import raw_installation


def alter(body: bytes) -> bytes:
    """One bit, in the middle of a block."""
    changed = bytearray(body)
    changed[len(changed) * 2 // 3] ^= 1
    return bytes(changed)


def truncate(body: bytes) -> bytes:
    return body[: len(body) // 2]


def overwrite(place: Place, name: SegmentName, body: bytes | None) -> None:
    """As a failing disk or a careless hand would: past the adapter, under the same key."""
    admin = place.server.admin()
    if body is None:
        admin.delete_object(Bucket=place.bucket, Key=name.key())
    else:
        admin.put_object(Bucket=place.bucket, Key=name.key(), Body=body)


def test_a_damaged_segment_that_was_not_committed_is_written_again(stack: Endpoints, tmp_path: Path) -> None:
    with raw_installation(stack, tmp_path / "raw") as raw, place_of(raw) as place:
        raw.create("good")
        raw.produce("good", 30)
        with place.sink(failpoint="uploaded:1") as sink:
            assert sink.wait(60) == -signal.SIGKILL, sink.said[-3000:]
        [names] = chains.listed(place.store).values()
        for name in names:
            overwrite(place, name, alter(place.store.get(name.key())))
        place.drain()
        place.verify(raw.ends(), count=False)


@pytest.fixture(scope="module")
def stored(capture: Capture) -> Iterator[tuple[Place, Moment]]:
    with place_of(capture) as place:
        moment = remember(capture)
        ends = capture.settle()
        place.drain()
        place.until_reached(ends)
        yield place, moment


@pytest.mark.parametrize("damage", ["altered", "truncated", "removed"])
def test_a_restore_that_needs_a_damaged_segment_is_refused_by_its_name(
    capture: Capture, stored: tuple[Place, Moment], damage: str
) -> None:
    place, moment = stored
    names = next(
        names
        for chain, names in chains.listed(place.store).items()
        if chain.topic.endswith(".public.guests") and chain.partition == 1
    )
    name = names[len(names) // 2]
    body = place.store.get(name.key())
    overwrite(place, name, {"altered": alter(body), "truncated": truncate(body), "removed": None}[damage])
    try:
        status, said, rows = attempt(capture, place, moment)
    finally:
        overwrite(place, name, body)
    assert status in (4, 5), f"exit status {status}:\n{said}"
    assert name.topic in said, said
    assert str(name.first) in said, said
    assert "Traceback" not in said
    assert rows == "refused", f"the target can be taken for a restored database: {rows}"


def test_and_with_the_segment_back_the_restore_equals_the_source(
    capture: Capture, stored: tuple[Place, Moment]
) -> None:
    place, moment = stored
    assert restore_equals(capture, place, moment) > 1000


def attempt(capture: Capture, place: Place, moment: Moment) -> tuple[int, str, str]:
    """Exit status and words of a restore, and whether the target says that it isn't one."""
    target = f"{capture.name}_{uuid4().hex[:8]}"
    dsn = capture.endpoints.postgres.dsn_of(target)
    with psycopg.connect(capture.endpoints.postgres.dsn, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{target}"'.encode())
        try:
            done = capture.replicator(
                place.config(),
                "restore",
                "--from",
                place.name,
                "--to-lsn",
                moment.lsn,
                "--target",
                dsn,
                check=False,
            )
            return done.returncode, done.stdout + done.stderr, _verdict(dsn)
        finally:
            admin.execute(f'DROP DATABASE "{target}" WITH (FORCE)'.encode())


def _verdict(dsn: str) -> str:
    """Refused: nothing was restored there, or the target's own mark says that it failed."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        if tables == (0,):
            return "refused"
        state = connection.execute("SELECT state FROM replicator_restore.state").fetchall()
    return "refused" if state == [("failed",)] else f"{tables} tables, marked {state}"
