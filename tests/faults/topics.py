"""What Kafka itself says: the truth that a destination is compared with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import uuid4

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

Ends = dict[tuple[str, int], int]
"""For each partition of an installation's topics the offset after its last committed record."""


def of_installation(bootstrap: str, installation: str) -> list[str]:
    """The installation's topics, in order."""
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=30)
    return sorted(name for name in metadata.topics if name.startswith(f"{installation}."))


def ends(bootstrap: str, installation: str) -> Ends:
    return _offsets(bootstrap, installation, OffsetSpec.latest())  # type: ignore[no-untyped-call]


def settled_ends(bootstrap: str, installation: str, deadline_s: float) -> Ends:
    """The ends at one moment of the source: of each END in the transaction topic all rows lie before them.

    Kafka ends a transaction partition by partition (KIP-98: the markers are written after the coordinator's
    decision), so that a reader may see an END before the rows that it counts. The transaction topic's end is
    therefore taken first, and the others once all is committed that had been written by then.
    """
    counted = ((f"{installation}.transaction", 0),)
    first = ends(bootstrap, installation)
    written = _offsets(
        bootstrap,
        installation,
        OffsetSpec.latest(),  # type: ignore[no-untyped-call]
        IsolationLevel.READ_UNCOMMITTED,
    )
    deadline = time.monotonic() + deadline_s
    while True:
        now = ends(bootstrap, installation)
        open_still = sorted(at for at, end in written.items() if now.get(at, 0) < end)
        if not open_still:
            return {**now, **{at: first[at] for at in counted if at in first}}
        if time.monotonic() > deadline:
            raise AssertionError(f"transactions were open for {deadline_s:.0f} s: {open_still}")
        time.sleep(0.1)


def beginnings(bootstrap: str, installation: str) -> Ends:
    return _offsets(bootstrap, installation, OffsetSpec.earliest())  # type: ignore[no-untyped-call]


def _offsets(
    bootstrap: str,
    installation: str,
    spec: OffsetSpec,
    isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
) -> Ends:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    metadata = admin.list_topics(timeout=30)
    wanted = {
        TopicPartition(name, partition): spec
        for name, topic in metadata.topics.items()
        if name.startswith(f"{installation}.")
        for partition in topic.partitions
    }
    if not wanted:
        return {}
    answers = admin.list_offsets(wanted, isolation_level=isolation, request_timeout=30)
    return {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}


def records(bootstrap: str, until: Ends, since: Ends | None = None) -> Iterator[Message]:
    """All committed records below `until`, read by a plain consumer of its own."""
    todo = {at: end for at, end in until.items() if end > (since or {}).get(at, 0)}
    if not todo:
        return
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"truth-{uuid4().hex}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.assign(
            [TopicPartition(*at, (since or {}).get(at, -2)) for at in todo]  # -2: the beginning
        )
        deadline = time.monotonic() + 120
        while todo:
            if time.monotonic() > deadline:
                raise AssertionError(f"Kafka didn't give all of its own records in 120 s: {sorted(todo)}")
            for message in consumer.consume(num_messages=5000, timeout=1.0):
                at = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                    if (message.offset() or 0) >= until[at]:
                        todo.pop(at, None)
                    continue
                deadline = time.monotonic() + 120
                if (message.offset() or 0) < until[at]:
                    yield message
                else:
                    todo.pop(at, None)
    finally:
        consumer.close()


def wait_for_transaction(bootstrap: str, installation: str, xid: str, deadline_s: float) -> None:
    """Return when the transaction topic has the END of `xid`; its rows may be committed a little later."""
    topic = f"{installation}.transaction"
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"marker-{uuid4().hex}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 500,
        }
    )
    # The value is Avro: status END as the first string, then the id "xid:lsn".
    wanted = _string("END")
    needle = f"{xid}:".encode()
    deadline = time.monotonic() + deadline_s
    seen = 0
    try:
        while topic not in of_installation(bootstrap, installation):
            if time.monotonic() > deadline:
                raise AssertionError(f"there was no topic {topic} after {deadline_s:.0f} s")
            time.sleep(0.2)
        consumer.assign([TopicPartition(topic, 0, -2)])
        while time.monotonic() < deadline:
            for message in consumer.consume(num_messages=5000, timeout=0.5):
                if message.error() is not None:
                    continue
                seen += 1
                value = message.value() or b""
                if value[5 : 5 + len(wanted)] == wanted and needle in value[5:64]:
                    return
        raise AssertionError(
            f"the END of transaction {xid} wasn't in {topic} after {deadline_s:.0f} s ({seen} records were)"
        )
    finally:
        consumer.close()


def _string(text: str) -> bytes:
    return bytes([2 * len(text)]) + text.encode()
