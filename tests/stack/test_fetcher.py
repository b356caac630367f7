"""The fetcher on a real broker: what it gives, in which order, and that a beginning forgets what was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from deploy.local.endpoints import Endpoints
from replicator.errors import KafkaError
from replicator.fetch.fetcher import Fetched, Fetcher, Notice
from replicator.segment.splice import splice

RECORDS = 20_000


def settings(stack: Endpoints, **more: str | int | float | bool) -> dict[str, str | int | float | bool]:
    return {
        "bootstrap.servers": stack.kafka.bootstrap_servers,
        "group.id": f"never-joined-{uuid4().hex[:8]}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 50,
        **more,
    }


@pytest.fixture
def topic(stack: Endpoints) -> Iterator[str]:
    """A topic of two partitions."""
    name = f"fetcher-{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(30)
    yield name
    admin.delete_topics([name])[name].result(30)


@pytest.fixture
def fetcher(stack: Endpoints) -> Iterator[Fetcher]:
    made = Fetcher(settings(stack))
    yield made
    made.close()


def payload(n: int) -> bytes:
    return b"\0\0\0\0\7" + f"record {n}".encode()


def fill(stack: Endpoints, topic: str, count: int, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap_servers, "linger.ms": 5})
    for n in range(count):
        producer.produce(topic, key=payload(n), value=payload(n), partition=partition, timestamp=1000 + n)
        producer.poll(0)
    assert producer.flush(30) == 0


def collect(fetcher: Fetcher, enough: Callable[[], object], told: Callable[[Fetched | Notice], None]) -> None:
    """Hand over what comes until it is enough."""
    deadline = time.monotonic() + 30
    while not enough():
        assert time.monotonic() < deadline, "not all came within 30 s"
        with fetcher.take(1000, 0.05) as taken:
            for each in taken:
                told(each)


def test_every_record_of_every_partition_comes_in_order_and_then_the_end(
    stack: Endpoints, topic: str, fetcher: Fetcher
) -> None:
    fill(stack, topic, 3000)
    fill(stack, topic, 2000, partition=1)
    seen: dict[int, list[int]] = {0: [], 1: []}
    ends: dict[int, int] = {}

    def told(each: Fetched | Notice) -> None:
        assert each.topic == topic
        if isinstance(each, Notice):
            assert each.at_end, each
            ends[each.partition] = each.offset
            return
        assert each.partition not in ends
        run, columns = each.records.run(), each.records.columns()
        assert ([run], None) == splice(columns)
        seen[each.partition] += columns.offsets
        for offset, time_, key, value in zip(
            columns.offsets, columns.timestamps, columns.keys, columns.values, strict=True
        ):
            assert (time_, key, value) == (1000 + offset, payload(offset), payload(offset))

    fetcher.begin(topic, 0, 10)
    fetcher.begin(topic, 1, 0)
    collect(fetcher, lambda: len(ends) == 2, told)
    assert seen == {0: list(range(10, 3000)), 1: list(range(2000))}
    assert ends == {0: 3000, 1: 2000}
    assert (fetcher.known_end(topic, 0), fetcher.known_end(topic, 1)) == (3000, 2000)
    assert fetcher.known_end(topic, 7) is None


def test_nothing_of_before_comes_after_a_new_beginning_or_an_end(
    stack: Endpoints, topic: str, fetcher: Fetcher
) -> None:
    fill(stack, topic, RECORDS)
    random = Random(7)
    expected: int | None = None
    """What must come next; None while nothing may come."""
    begun = came = 0
    deadline = time.monotonic() + 60
    while begun < 300:
        assert time.monotonic() < deadline, f"{begun} of 300 beginnings"
        choice = random.random()
        if choice < 0.4:
            expected = random.randrange(RECORDS - 1)
            fetcher.begin(topic, 0, expected)
            begun += 1
        elif choice < 0.5:
            fetcher.end(topic, 0)
            expected = None
        with fetcher.take(random.choice([1, 7, 500, 4000]), random.choice([0.0, 0.005, 0.05])) as taken:
            for each in taken:
                if isinstance(each, Fetched):
                    assert each.records.first == expected, f"after {begun} beginnings"
                    expected = each.records.last + 1
                    came += 1
    assert came > 40


def test_headers_and_what_is_absent_come_as_they_are(stack: Endpoints, topic: str, fetcher: Fetcher) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap_servers})
    headers: list[tuple[str, bytes | None]] = [("a", b"1"), ("ä", None), ("a", b"")]
    producer.produce(topic, key=None, value=payload(0), partition=0, headers=headers)  # type: ignore[arg-type]
    producer.produce(topic, key=payload(1), value=None, partition=0)
    producer.produce(topic, key=b"", value=b"", partition=0)
    assert producer.flush(30) == 0
    got: list[tuple[bytes | None, bytes | None, object]] = []

    def told(each: Fetched | Notice) -> None:
        if isinstance(each, Fetched):
            columns = each.records.columns()
            got.extend(zip(columns.keys, columns.values, columns.headers, strict=True))

    fetcher.begin(topic, 0, 0)
    collect(fetcher, lambda: len(got) == 3, told)
    assert got == [(None, payload(0), headers), (payload(1), None, None), (b"", b"", None)]


def test_an_offset_that_kafka_dropped_is_a_notice_and_another_beginning_helps(
    stack: Endpoints, topic: str, fetcher: Fetcher
) -> None:
    fill(stack, topic, 100)
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(topic, 0, 60)]).values():
        future.result(30)
    refused: list[int] = []
    firsts: list[int] = []

    def told(each: Fetched | Notice) -> None:
        if isinstance(each, Fetched):
            firsts.append(each.records.first)
        elif each.refused:
            refused.append(each.offset)

    fetcher.begin(topic, 0, 20)
    collect(fetcher, lambda: refused, told)
    assert (refused, firsts) == ([20], [])
    fetcher.begin(topic, 0, 60)
    collect(fetcher, lambda: firsts, told)
    assert firsts == [60]


def test_a_setting_that_does_not_exist_is_named(stack: Endpoints) -> None:
    with pytest.raises(KafkaError, match=r"no\.such\.setting"):
        Fetcher(settings(stack, **{"no.such.setting": 1}))


def test_it_ends_while_no_broker_answers() -> None:
    began = time.monotonic()
    made = Fetcher({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    made.begin("t", 0, 0)
    with made.take(10, 0.2):
        pass
    made.close()
    assert time.monotonic() - began < 5
