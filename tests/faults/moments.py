"""The last word: a moment of the source, and whether a restore from a destination equals it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import uuid4

import psycopg

from replicator import compare
from tests.faults.capture import Capture
from tests.faults.place import Place

SCHEMAS = ("public",)


@dataclass(frozen=True, slots=True)
class Moment:
    """What the source held when everything that committed before `lsn`, and nothing else, had happened."""

    lsn: str
    digests: compare.Digests


def remember(capture: Capture) -> Moment:
    """The source as it is now, at an exact point of its log; traffic goes on meanwhile."""
    with compare.hold(capture.dsn) as point:
        return Moment(point.lsn, compare.capture_within(point.connection, schemas=SCHEMAS))


def restore_equals(capture: Capture, place: Place, moment: Moment) -> int:
    """Restore the place's bucket to the moment and compare every row; the number of rows, or what differs."""
    target = f"{capture.name}_{uuid4().hex[:8]}"
    admin = capture.endpoints.postgres.dsn
    dsn = capture.endpoints.postgres.dsn_of(target)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{target}"'.encode())
    try:
        told = capture.replicator(
            place.config(), "restore", "--from", place.name, "--to-lsn", moment.lsn, "--target", dsn, "--json"
        )
        report = compare.compare(moment.digests, compare.capture(dsn, schemas=SCHEMAS))
        assert report.equal, "\n".join(report.lines())
        assert json.loads(told.stdout)["rows"] >= report.rows
        return report.rows
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)'.encode())
