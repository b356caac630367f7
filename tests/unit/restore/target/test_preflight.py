"""A target whose server can't hold the result is refused before anything is written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from replicator.debezium.snapshots import Snapshot
from replicator.errors import ReplicatorError
from replicator.restore.errors import TargetRefusedError
from replicator.restore.moment.edges import Edge
from replicator.restore.plan import Plan, TablePlan
from replicator.restore.schema import dump
from replicator.restore.schema.schema_plan import Command
from replicator.restore.selection import EVERYTHING, Chosen, Owner
from replicator.restore.target import database, preflight
from replicator.segment.name import Chain, SegmentName
from replicator.segment.pieces import ChainPieces, Piece

DUMP = """--
-- PostgreSQL database dump
--

-- Dumped from database version 16.4 (Debian 16.4-1)
-- Dumped by pg_dump version 17.2

SET client_encoding = 'UTF8';

--
-- Name: hstore; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;


--
-- Name: uuid-ossp; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;
"""


def plan(text: str = DUMP, *commands: str, tables: tuple[TablePlan, ...] = (), **more: Any) -> Plan:
    schema = SimpleNamespace(dump=dump.parse(text), commands=[Command(each, "", False) for each in commands])
    snapshot = Snapshot({"public.t": 60}, 1, 1)
    history = SimpleNamespace(snapshot=snapshot)
    return cast(Plan, SimpleNamespace(schema=schema, history=history, tables=tables, chosen=Chosen(), **more))


def refused(major: int, extensions: set[str], what: Plan) -> TargetRefusedError:
    with pytest.raises(TargetRefusedError) as caught:
        preflight.refuse(major, extensions, what)
    return caught.value


ALL = {"plpgsql", "hstore", "uuid-ossp"}


def test_an_older_major_version_than_the_sources_is_refused_and_a_newer_one_is_not() -> None:
    error = refused(15, ALL, plan())
    assert "PostgreSQL 15, the source was 16" in error.message
    assert "PostgreSQL 16 or newer" in str(error.next_step)
    for major in (16, 18):
        preflight.refuse(major, ALL, plan())
    preflight.refuse(15, ALL, plan(DUMP.replace("-- Dumped from", "--")))


def test_extensions_that_the_server_lacks_are_named_those_of_later_commands_too() -> None:
    assert "the extension uuid-ossp, which" in refused(16, ALL - {"uuid-ossp"}, plan()).message
    later = plan(DUMP, "create extension if not exists ltree cascade", "CREATE TABLE x ()")
    assert "the extensions hstore, ltree, which" in refused(16, ALL - {"hstore"}, later).message


def table(size: int, records: int) -> TablePlan:
    name = SegmentName("w.public.t", "A" * 22, 0, 0, records, "0" * 16)
    piece = Piece(name, size, 0, records)
    chain = ChainPieces(Chain("w.public.t", "A" * 22, 0), (piece,), ())
    return TablePlan("public.t", "w.public.t", (Edge(chain, (piece,), records, passed=True),))


def test_the_least_that_rows_take_is_the_snapshots_part_of_what_is_stored() -> None:
    what = plan(tables=(table(1000, 600),))
    assert preflight.least_bytes(what) == 100  # 60 of 600 records
    assert preflight.least_bytes(plan(tables=(table(1000, 30),))) == 1000
    assert preflight.least_bytes(plan(tables=(table(0, 0),))) == 0
    one = SimpleNamespace(**{**vars(what), "chosen": Chosen(owner=Owner("public.t", "id", ("1",)))})
    assert preflight.least_bytes(cast(Plan, one)) == 0
    assert EVERYTHING.everything


def test_a_server_that_fails_is_told_from_a_statement_that_does() -> None:
    full, gone = psycopg.errors.DiskFull("could not extend file"), psycopg.OperationalError("connection lost")
    assert all(map(database.is_failing, (full, gone, psycopg.errors.AdminShutdown("going down"))))
    assert not any(
        map(
            database.is_failing,
            (psycopg.errors.UniqueViolation("twice"), psycopg.errors.UndefinedTable("no")),
        )
    )
    for error, words in ((full, "no disk space left: could not extend file"), (gone, "connection lost")):
        made = database.failed(error)
        assert isinstance(made, ReplicatorError)
        assert words in made.message
        assert "--force-clean" in str(made.next_step)
