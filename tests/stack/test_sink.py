"""The sink with a real Kafka, a real registry and a real S3 server, where nothing goes wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from confluent_kafka import Producer

from deploy.local.endpoints import Endpoints
from replicator.segment import read
from replicator.segment.name import SegmentName
from tests.faults import chains
from tests.faults.place import Place, place_of
from tests.faults.raw import RawInstallation, raw_installation
from tests.faults.sinks import Sink, wait_for

PATIENT = {"sink": {"max_age_s": 600.0, "drain_deadline_s": 20.0}}


@pytest.fixture
def raw(stack: Endpoints, tmp_path: Path) -> Iterator[RawInstallation]:
    with raw_installation(stack, tmp_path / "raw") as made:
        yield made


@pytest.fixture
def target(raw: RawInstallation) -> Iterator[Place]:
    with place_of(raw) as made:
        yield made


def stored(target: Place) -> dict[str, list[tuple[SegmentName, Any, list[dict[str, Any]]]]]:
    """Each topic's segments in order: name, header, records, all checked against one another."""
    found: dict[str, list[tuple[SegmentName, Any, list[dict[str, Any]]]]] = {}
    for names in chains.listed(target.store).values():
        for name in names:
            body = target.store.get(name.key())
            found.setdefault(name.topic, []).append((name, read.check(name, body), list(read.records(body))))
    return found


def metrics_of(sink: Sink) -> dict[str, float]:
    """What it tells; nothing while it is only starting."""
    try:
        return sink.metrics()
    except requests.ConnectionError:
        return {}


def test_what_is_durable_is_not_written_again(raw: RawInstallation, target: Place) -> None:
    raw.create("guests", partitions=3)
    raw.produce("guests", 500)
    target.drain()
    before = [info.key for info in target.store.list("v1/changes/")]
    target.drain()
    assert [info.key for info in target.store.list("v1/changes/")] == before
    target.verify(raw.ends(), count=False)


def test_a_table_that_comes_later_keeps_its_first_rows(raw: RawInstallation, target: Place) -> None:
    raw.create("guests")
    raw.produce("guests", 10)
    with target.sink() as sink:
        target.until_reached(raw.ends(), sink)
        raw.create("vendors")
        raw.produce("vendors", 25)
        target.until_reached(raw.ends(), sink)
    [(name, _, records), *_] = stored(target)[raw.topic("vendors")]
    assert name.first == 0
    assert records[0]["value"]["n"] == 0
    target.verify(raw.ends(), count=False)


def test_new_tables_dont_wait_until_the_group_matches_its_pattern_again(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("guests")
    raw.produce("guests", 10)
    urgent = target.config(sections={"sink": {"max_age_s": 0.5}})
    with target.sink(urgent) as sink:
        target.until_reached(raw.ends(), sink)
        began = time.monotonic()
        for table in ("vendors", "seats", "photos"):
            raw.create(table)
            raw.produce(table, 5)
            target.until_reached(raw.ends(), sink)
        took = time.monotonic() - began
    assert took < 15.0, "the broker alone takes ten seconds for the second and ten for the third"


def test_sigterm_stores_and_commits_what_is_held(raw: RawInstallation, target: Place) -> None:
    raw.create("guests")
    raw.produce("guests", 300)
    with target.sink(target.config(sections=PATIENT)) as sink:
        sink.until(
            "all records to be held",
            lambda: None if metrics_of(sink).get("replicator_sink_records_total") == 300 else "not all",
            60,
        )
        assert target.behind(raw.ends()), "nothing is old or large enough to have been sealed"
        sink.terminate()
        assert sink.wait(30) == 0
    assert target.behind(raw.ends()) is None
    target.verify(raw.ends(), count=False)
    target.drain()
    [segments] = stored(target).values()
    assert [name.next for name, _, _ in segments] == [300], "what was stored had not been committed"


def test_an_urgent_record_is_durable_within_three_seconds(raw: RawInstallation, target: Place) -> None:
    raw.create("guests", "calm")
    urgent = [{"topics": r".*\.guests", "max_age_s": 1.0}]
    config = target.config(sections={"sink": {"max_age_s": 600.0, "urgent": urgent}})
    with target.sink(config) as sink:
        raw.produce("guests", 1)
        raw.produce("calm", 1)
        target.until_reached({(raw.topic("guests"), 0): 1}, sink)
        raw.produce("guests", 1, first=1)
        began = time.monotonic()
        target.until_reached({(raw.topic("guests"), 0): 2}, sink)
        assert time.monotonic() - began < 3.0
    assert raw.topic("calm") not in stored(target) or sink.running is False


def test_a_chain_reaches_the_end_behind_markers_and_holds_nothing_that_was_aborted(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("guests")
    producer = Producer(
        {"bootstrap.servers": raw.bootstrap, "transactional.id": raw.name, "transaction.timeout.ms": 20_000}
    )
    producer.init_transactions(30)
    for n in range(6):
        producer.begin_transaction()
        for i in range(5):
            producer.produce(raw.topic("guests"), key=raw.key(n), value=raw.value(n * 5 + i))
        assert producer.flush(30) == 0, "what isn't sent can't be aborted in Kafka"
        if n % 2 == 0:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    ends = raw.ends()
    assert ends[raw.topic("guests"), 0] == 36, "six transactions of five records and a marker"
    with target.sink() as sink:
        target.until_reached(ends, sink)
    records = [record for _, _, each in stored(target)[raw.topic("guests")] for record in each]
    assert [record["value"]["n"] for record in records] == [*range(5), *range(10, 15), *range(20, 25)]


def test_keys_headers_and_null_values_are_kept_and_a_new_schema_begins_a_segment(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("guests")
    topic = raw.topic("guests")
    other = {"type": "record", "name": "Other", "fields": [{"name": "n", "type": "long"}]}
    other_id = raw.register(f"{raw.name}-other", other)
    producer = Producer({"bootstrap.servers": raw.bootstrap})
    headers: list[tuple[str, str | bytes | None]] = [("__debezium.newkey", b'{"n":2}'), ("empty", None)]
    producer.produce(topic, key=raw.key(1), value=raw.value(1), headers=headers)
    producer.produce(topic, key=raw.key(1), value=None)
    producer.produce(topic, key=None, value=raw.value(2))
    producer.produce(topic, key=raw.key(3), value=b"\x00" + other_id.to_bytes(4, "big") + b"\x06")
    assert producer.flush(30) == 0
    target.drain()
    (first, header, records), (second, other_header, others) = stored(target)[topic]
    assert (first.first, first.next, second.next) == (0, 3, 4)
    assert records[0]["headers"] == [
        {"key": "__debezium.newkey", "value": b'{"n":2}'},
        {"key": "empty", "value": None},
    ]
    assert [record["key"] for record in records] == [raw.key(1), raw.key(1), None]
    assert records[1]["value"] is None
    assert header.value_schema[0] == str(raw.value_id)
    assert other_header.value_schema[0] == str(other_id)
    assert others[0]["value"] == {"n": 3}
    kept = json.loads(target.store.get(f"v1/schemas/{other_id}.json"))
    assert json.loads(kept["schema"]) == other


def test_metrics_and_readiness_tell_what_is_so(raw: RawInstallation, target: Place) -> None:
    raw.create("guests")
    raw.produce("guests", 100)
    with target.sink() as sink:
        target.until_reached(raw.ends(), sink)
        place = f'{{partition="0",topic="{raw.topic("guests")}"}}'
        wait_for(
            "a lag of nothing",
            lambda: None if sink.metrics().get(f"replicator_sink_lag_records{place}") == 0 else "lag",
            20,
            sink,
        )
        metrics = sink.metrics()
        assert metrics[f"replicator_sink_durable_offset{place}"] == 100
        assert metrics["replicator_sink_records_total"] == 100
        assert metrics["replicator_sink_stored_bytes_total"] > 0
        assert metrics['replicator_sink_partitions{state="running"}'] == 1
        assert metrics["replicator_sink_memory_bytes"] == 0
        assert sink.ready() is None


def test_two_instances_share_the_partitions_and_store_each_record_once(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("guests", "vendors", "tables")
    for table in ("guests", "vendors", "tables"):
        raw.produce(table, 200)
    config = target.config()
    with target.sink(config) as one, target.sink(config) as two:
        both = (one, two)
        running = 'replicator_sink_partitions{state="running"}'
        wait_for(
            "partitions at both",
            lambda: None if all(metrics_of(sink).get(running, 0) for sink in both) else "one has none",
            60,
        )
        for table in ("guests", "vendors", "tables"):
            raw.produce(table, 200, first=200)
        target.until_reached(raw.ends(), one)
    verdict = target.verify(raw.ends(), count=False)
    assert verdict.overlaps == 0
