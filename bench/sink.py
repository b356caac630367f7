"""`python -m bench.sink`: the sink against raw consumption of the same topic, in the same run.

A topic of three partitions is filled with records as Debezium writes them. Then, in turns: raw consumption,
one sink, two sinks, each from the beginning, the sinks into an S3 bucket. The clock of each runs from its
first record to its last; a sink's last is when the last segment is durable. Medians of all turns; the
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import requests
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from bench import cpu, guests
from bench.say import say
from deploy.local.endpoints import Endpoints
from deploy.local.stack import Stack
from deploy.local.temporary import given_or_temporary

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PARTITIONS = 3
_TURN_S = 300


@dataclass(frozen=True, slots=True)
class Turn:
    """One measured turn of raw consumption or of sinks; CPU is of all its processes together."""

    records: int
    seconds: float
    cpu_s: float
    peak_rss_mb: float
    stored_bytes: int = 0
    limit: str = ""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


class Bench:
    """A filled topic, and turns over it."""

    def __init__(self, endpoints: Endpoints, stack: Stack, folder: Path, records: int) -> None:
        self._endpoints = endpoints
        self._stack = stack
        self._folder = folder
        self._records = records
        self._name = f"bench{uuid.uuid4().hex[:8]}"
        self._topic = f"{self._name}.public.guests"
        self._bucket = f"{self._name}-{records}"
        self._admin = AdminClient({"bootstrap.servers": endpoints.kafka.bootstrap_servers})
        self._turns = 0
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        }

    def fill(self) -> None:
        """Register the schemas, make the topic and the bucket, produce the records."""
        ids = {kind: self._register(kind) for kind in ("key", "value")}
        topic = NewTopic(self._topic, PARTITIONS, 1)
        self._admin.create_topics([topic])[self._topic].result()
        self._s3().create_bucket(Bucket=self._bucket)
        producer = Producer(
            {
                "bootstrap.servers": self._endpoints.kafka.bootstrap_servers,
                "linger.ms": 50,
                "batch.size": 512 * 1024,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 500_000,
            }
        )
        for number, (key, value) in enumerate(guests.records(self._records, ids["key"], ids["value"])):
            producer.produce(self._topic, key=key, value=value)
            if number % 10_000 == 0:
                producer.poll(0)
                while len(producer) > 400_000:
                    producer.poll(0.1)
        if producer.flush(120):
            raise SystemExit("the records could not all be produced within 120 s")

    def clean(self) -> None:
        """Remove topic and bucket."""
        self._admin.delete_topics([self._topic])[self._topic].result()
        client = self._s3()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            for item in page.get("Contents", []):
                client.delete_object(Bucket=self._bucket, Key=item["Key"])
        client.delete_bucket(Bucket=self._bucket)

    def raw(self) -> Turn:
        """One turn of raw consumption."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bench.consume", "--topic", self._topic),
                *("--records", str(self._records)),
                *("--bootstrap-servers", self._endpoints.kafka.bootstrap_servers),
            ],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        said = json.loads(done.stdout)
        return Turn(said["records"], said["seconds"], said["cpu_s"], said["peak_rss_mb"])

    def sinks(self, instances: int) -> Turn:
        """One turn of so many sinks, from nothing to everything durable and committed."""
        self._turns += 1
        prefix = f"turn{self._turns}"
        config = self._folder / f"{prefix}.json"
        config.write_text(json.dumps(self._config(prefix)))
        logs = [self._folder / f"{prefix}-{number}.log" for number in range(instances)]
        processes = [self._start(config, prefix, log) for log in logs]
        pids = {f"sink {number + 1}": process.pid for number, process in enumerate(processes)}
        sinks = list(pids)
        pids |= {part: self._stack.pid(part) for part in ("kafka", "s3")}
        try:
            urls = [_said(log, "health", process) for log, process in zip(logs, processes, strict=True)]
            self._until_taken(urls, processes, 1, most_s=0.02)
            began, before = time.time(), cpu.Reading.of(pids)
            self._until_taken(urls, processes, self._records, most_s=1.0)
            after = cpu.Reading.of(pids)
            # The end of the records is known here alone: without a word, the last segments would wait to age.
            for process in processes:
                process.terminate()
            ended = [_end_of(process) for process in processes]
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
        segments = [event for log in logs for event in _events(log) if event["event"] == "stored"]
        durable = sum(int(event["records"]) for event in segments)
        if durable < self._records:
            raise SystemExit(f"{durable} of {self._records} records are durable")
        used = sum(usage.ru_utime + usage.ru_stime for usage in ended)
        return Turn(
            self._records,
            max(_epoch(str(event["timestamp"])) for event in segments) - began,
            used - sum(before.processes[name] for name in sinks),
            max(usage.ru_maxrss for usage in ended) / 1024,
            sum(int(event["bytes"]) for event in segments),
            cpu.limit(before, after, sinks),
        )

    def _start(self, config: Path, destination: str, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "replicator", "-c", str(config), "--log-format", "json"),
                    *("sink", destination, "--accept-unproven-values"),
                ],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _until_taken(
        self, urls: list[str], processes: list[subprocess.Popen[bytes]], wanted: int, *, most_s: float
    ) -> None:
        """Wait until the sinks together have taken so many records.

        They are asked seldom while much is left: answering is work that would be measured with theirs.
        """

        def taken(url: str) -> int:
            for line in requests.get(f"{url}/metrics", timeout=10).text.splitlines():
                if line.startswith("replicator_sink_records_total"):
                    return int(float(line.split()[1]))
            return 0

        began = time.monotonic()
        deadline = began + _TURN_S
        while (count := sum(map(taken, urls))) < wanted:
            for process in processes:
                if process.poll() is not None:
                    raise SystemExit(f"a sink ended with {process.returncode} after {count} records")
            if time.monotonic() > deadline:
                raise SystemExit(f"{count} of {wanted} records were taken within {_TURN_S} s")
            left_s = (wanted - count) * (time.monotonic() - began) / max(count, 1)
            time.sleep(max(0.02, min(most_s, left_s / 2)))

    def _config(self, destination: str) -> dict[str, object]:
        s3 = self._endpoints.s3
        return {
            "installation": self._name,
            "kafka": {"bootstrap_servers": self._endpoints.kafka.bootstrap_servers},
            "registry": {"url": self._endpoints.registry.url},
            "source": {"dsn": "postgresql://127.0.0.1/none"},
            "destinations": {
                destination: {
                    "type": "s3",
                    "bucket": self._bucket,
                    "prefix": destination,
                    "endpoint_url": s3.endpoint_url,
                    "region": s3.region,
                    "access_key_id": s3.access_key,
                    "secret_access_key": s3.secret_key,
                }
            },
            "sink": {"metrics_port": 0},
        }

    def _register(self, kind: str) -> int:
        text = {"key": guests.KEY_SCHEMA, "value": guests.VALUE_SCHEMA}[kind]
        answer = requests.post(
            f"{self._endpoints.registry.url}/subjects/{self._topic}-{kind}/versions",
            json={"schema": text},
            timeout=30,
        )
        answer.raise_for_status()
        return int(answer.json()["id"])

    def _s3(self) -> S3Client:
        s3 = self._endpoints.s3
        return boto3.client(
            "s3",
            endpoint_url=s3.endpoint_url,
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
            region_name=s3.region,
        )


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the figures as one line of JSON, last."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="bench-sink-"))
    try:
        with given_or_temporary("bench", ("kafka", "registry", "s3"), say) as stack:
            result = measure(Bench(stack.endpoints, stack, folder, options.records), options.repeats)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


def measure(bench: Bench, repeats: int) -> dict[str, object]:
    """Fill, take the turns, clean up; the medians."""
    say("producing the records")
    bench.fill()
    turns: dict[str, list[Turn]] = {"raw": [], "one": [], "two": []}
    try:
        # What is first pays for cold caches; it isn't counted.
        bench.raw()
        for number in range(repeats):
            for kind, take in (
                ("raw", bench.raw),
                ("one", lambda: bench.sinks(1)),
                ("two", lambda: bench.sinks(2)),
            ):
                turn = take()
                turns[kind].append(turn)
                say(
                    f"turn {number + 1} {kind:>3}: {turn.rate:9,.0f} records/s, {turn.cpu_s:.2f} CPU s, "
                    f"{turn.peak_rss_mb:.0f} MB {turn.limit}"
                )
    finally:
        bench.clean()
    return summary(turns)


def summary(turns: dict[str, list[Turn]]) -> dict[str, object]:
    """The medians of all turns, as the last line tells them."""
    rates = {kind: statistics.median(turn.rate for turn in each) for kind, each in turns.items()}
    one = turns["one"]
    return {
        "ratio_one": round(rates["one"] / rates["raw"], 3),
        "ratio_two": round(rates["two"] / rates["raw"], 3),
        "records_per_s": round(rates["one"]),
        "records_per_s_two": round(rates["two"]),
        "records_per_s_raw": round(rates["raw"]),
        "cpu_s_per_million": round(statistics.median(t.cpu_s / t.records * 1e6 for t in one), 2),
        "cpu_s_per_million_raw": round(statistics.median(t.cpu_s / t.records * 1e6 for t in turns["raw"]), 2),
        "peak_rss_mb": round(max(t.peak_rss_mb for t in one + turns["two"])),
        "stored_bytes_per_record": round(statistics.median(t.stored_bytes / t.records for t in one), 1),
        "limit": sorted(one, key=lambda turn: turn.rate)[len(one) // 2].limit,
        "limit_two": sorted(turns["two"], key=lambda turn: turn.rate)[len(turns["two"]) // 2].limit,
    }


def _events(log: Path) -> list[dict[str, Any]]:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return [json.loads(line) for line in lines]


def _said(log: Path, key: str, process: subprocess.Popen[bytes]) -> str:
    """What the sink's log gives for that key, once it does."""
    deadline = time.monotonic() + 60
    while True:
        for event in _events(log):
            if key in event:
                return str(event[key])
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{log.name} says nothing of {key}: {log.read_text()[-2000:]}")
        time.sleep(0.02)


def _end_of(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """Wait for the sink to end well; what it used in all."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"a sink ended with {process.returncode}")
    return usage


def _epoch(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


if __name__ == "__main__":
    main()
