"""A sink's assigned partitions on a real broker: each is read, or readyz says why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from tests.faults import chains
from tests.faults.place import Place, place_of
from tests.faults.raw import RawInstallation, raw_installation


@pytest.fixture
def raw(stack: Endpoints, tmp_path: Path) -> Iterator[RawInstallation]:
    with raw_installation(stack, tmp_path) as made:
        yield made


@pytest.fixture
def target(raw: RawInstallation) -> Iterator[Place]:
    with place_of(raw) as made:
        yield made


def test_every_partition_is_read_whose_first_records_kafka_has_dropped(
    raw: RawInstallation, target: Place
) -> None:
    # A stopped partition came of a race between the assignment's pause and a fetch: one in five at times.
    tables = [f"t{number}" for number in range(24)]
    raw.create(*tables)
    for table in tables:
        raw.produce(table, 60)
        raw.delete_records(table, 50)

    def missing() -> str | None:
        stored = {
            chain.topic: (names[0].first, names[-1].next)
            for chain, names in chains.listed(target.store).items()
        }
        lacking = [table for table in tables if stored.get(raw.topic(table)) != (50, 60)]
        return f"{lacking} of {stored}" if lacking else sink.ready()

    with target.sink() as sink:
        sink.until("every topic's records", missing, 20)


def test_an_emptied_destination_is_refused_and_nothing_is_committed(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("bad")
    raw.produce("bad", 40)
    target.drain()
    for info in list(target.store.list("")):
        target.store.delete(info.key)
    raw.produce("bad", 10, first=40)
    with target.sink(None, "--once") as sink:
        assert sink.wait(60) == 2, sink.said[-3000:]
    assert "emptied, replaced, or isn't mounted" in " ".join(sink.said.split())
    assert list(target.store.list("")) == []


def test_members_without_partitions_are_ready(raw: RawInstallation, target: Place) -> None:
    with target.sink() as first:
        first.until("readiness before there is any topic", first.ready, 30)
        raw.create("one")
        raw.produce("one", 10)
        target.until_reached(raw.ends(), first)
        with target.sink() as second:
            second.until("readiness of the member that gets nothing", second.ready, 30)
