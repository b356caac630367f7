"""`python -m bench.consume`: raw consumption of a topic as fast as it goes, told in one line of JSON."""

from __future__ import annotations

import argparse
import json
import resource
import time
import uuid

from confluent_kafka import Consumer


def main() -> None:
    """Take `--records` records and drop them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--records", type=int, required=True)
    options = parser.parse_args()
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap_servers,
            "group.id": f"bench-raw-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 10,
            "queued.min.messages": 1_000_000,
        }
    )
    consumer.subscribe([options.topic])
    taken = 0
    began = cpu = 0.0
    deadline = time.monotonic() + 300
    while taken < options.records:
        messages = consumer.consume(10_000, 0.5)
        if messages and not taken:
            began, cpu = time.monotonic(), time.process_time()
        taken += sum(message.error() is None for message in messages)
        if time.monotonic() > deadline:
            raise SystemExit(f"{taken} of {options.records} records arrived within 300 s")
    seconds = time.monotonic() - began
    print(
        json.dumps(
            {
                "records": taken,
                "seconds": seconds,
                "cpu_s": time.process_time() - cpu,
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )
    consumer.close()


if __name__ == "__main__":
    main()
