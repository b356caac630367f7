"""What the capture path promises: NULL stays NULL, and the id in a record names that record's schema."""

from __future__ import annotations

import signal
from uuid import uuid4

import psycopg
import pytest
import requests

from deploy.local.converter import PLAIN_CLASS_NAME
from deploy.local.endpoints import Endpoints
from tests.conftest import StackControl
from tests.source_database import SourceDatabase, fresh_database
from tests.stack.capture_by_hand import Captured, records, schema_text, start_connector

GUESTS = """
    CREATE TABLE guests (
        id int PRIMARY KEY, name text DEFAULT 'nobody', seats int DEFAULT 4, fee numeric DEFAULT 10
    );
    ALTER TABLE guests REPLICA IDENTITY FULL;
"""


def rows_with_null(endpoints: Endpoints, database: SourceDatabase, converter: str | None) -> list[Captured]:
    """A row of NULLs from the snapshot, one from the stream, and its update from the stream."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(GUESTS)
        connection.execute("INSERT INTO guests VALUES (1, NULL, NULL, NULL)")
        start_connector(endpoints, database, converter)
        records(endpoints, f"{database.installation}.public.guests", 1)
        connection.execute("INSERT INTO guests VALUES (2, NULL, NULL, NULL)")
        connection.execute("UPDATE guests SET seats = 0 WHERE id = 2")
    return records(endpoints, f"{database.installation}.public.guests", 3)


def test_null_in_a_defaulted_column_arrives_as_null(stack: Endpoints, database: SourceDatabase) -> None:
    snapshot, insert, update = rows_with_null(stack, database, None)
    for row in (snapshot.value["after"], insert.value["after"], update.value["before"]):
        assert (row["name"], row["seats"], row["fee"]) == (None, None, None)
    assert update.value["after"]["seats"] == 0
    assert update.value["after"]["name"] is None


def test_the_converter_without_the_cure_turns_null_into_the_default(
    stack: Endpoints, database: SourceDatabase
) -> None:
    """The reason for the cure; when this fails, the converter's authors have mended it and ours can go."""
    snapshot, insert, _ = rows_with_null(stack, database, PLAIN_CLASS_NAME)
    for row in (snapshot.value["after"], insert.value["after"]):
        assert (row["name"], row["seats"]) == ("nobody", 4)


@pytest.fixture
def two_captures(stack: Endpoints, database: SourceDatabase) -> tuple[list[Captured], list[Captured]]:
    """Two connectors on one registry; their transaction topics share one schema text under two subjects."""

    def capture(source: SourceDatabase, guests: int) -> list[Captured]:
        with psycopg.connect(source.dsn, autocommit=True) as connection:
            connection.execute(GUESTS)
            start_connector(stack, source)
            for number in range(guests):
                connection.execute("INSERT INTO guests VALUES (%s, %s)", (number, f"guest {number}"))
        rows = records(stack, f"{source.installation}.public.guests", guests)
        marks = records(stack, f"{source.installation}.transaction", 2 * guests)
        assert [row.value["after"]["name"] for row in rows] == [f"guest {n}" for n in range(guests)]
        assert [mark.value["status"] for mark in marks] == ["BEGIN", "END"] * guests
        return rows + marks

    first = capture(database, 3)
    with fresh_database(stack) as other:
        return first, capture(other, 2)


def test_ids_resolve_when_two_subjects_share_a_schema(
    two_captures: tuple[list[Captured], list[Captured]],
) -> None:
    """Decoding is the proof: as global ids, the second connector's would name absent or other schemas."""
    first, second = two_captures
    assert {r.value_id for r in first if r.topic.endswith(".transaction")} == {
        r.value_id for r in second if r.topic.endswith(".transaction")
    }, "one text under two subjects has one content id"
    assert {r.value_id for r in first if r.topic.endswith(".guests")}.isdisjoint(
        r.value_id for r in second if r.topic.endswith(".guests")
    )


@pytest.mark.alone
def test_the_registry_keeps_its_ids_through_a_sigkill(
    stack: Endpoints, stack_control: StackControl, two_captures: tuple[list[Captured], list[Captured]]
) -> None:
    ids = {record_id for side in two_captures for r in side for record_id in (r.key_id, r.value_id)}
    before = {number: schema_text(stack, number) for number in ids}
    assert len(before) >= 5
    stack_control.restart("registry", signal.SIGKILL)
    assert {number: schema_text(stack, number) for number in ids} == before
    name = f"t{uuid4().hex}"
    answer = requests.post(
        f"{stack.registry.url}/subjects/{name}/versions",
        json={"schema": f'{{"type": "record", "name": "{name}", "fields": []}}'},
        timeout=10,
    )
    assert answer.json()["id"] not in before, "a new schema took the number of an old one"
