"""A destination of its own for one test: bucket, configuration, sinks that write to it, and the judgement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local.endpoints import Endpoints
from replicator.storage.s3 import S3Store
from tests.contract.clouds.s3 import S3Cloud
from tests.faults import chains
from tests.faults.capture import Capture
from tests.faults.chains import Verdict
from tests.faults.sinks import Sink, wait_for
from tests.faults.topics import Ends

SESSION_MS = 3000
"""How long the broker waits for a member that is silent; tests don't wait for the default of 45 s."""

QUICK = {"segment_bytes": 128 * 1024, "max_age_s": 0.5, "drain_deadline_s": 10.0}


class Place:
    """One destination of a capture."""

    def __init__(self, capture: Capture, server: S3Cloud, bucket: str) -> None:
        self.capture = capture
        self.bucket = bucket
        self.name = f"d{uuid4().hex[:8]}"
        self.server = server
        self.store = S3Store(server.destination(bucket))
        shorten_session(capture.bootstrap, self.group)

    @property
    def group(self) -> str:
        return f"replicator.{self.capture.name}.{self.name}"

    def config(self, *, endpoint_url: str | None = None, sections: Any = None, **destination: Any) -> Path:
        """A configuration whose destination differs from the plain one as told."""
        plain = {
            "type": "s3",
            "bucket": self.bucket,
            "endpoint_url": endpoint_url or self.server.url,
            "region": "us-east-1",
            "access_key_id": self.server.access_key,
            "secret_access_key": self.server.secret_key,
            "connect_timeout_s": 2.0,
            "read_timeout_s": 5.0,
            **destination,
        }
        return self.capture.write_config(
            f"{self.name}-{uuid4().hex[:6]}",
            **{"destinations": {self.name: plain}, "sink": QUICK, **(sections or {})},
        )

    def sink(self, config: Path | None = None, *arguments: str, **options: Any) -> Sink:
        return Sink(config or self.config(), self.name, *arguments, **options)

    def process(self, command: str, config: Path, *arguments: str, **options: Any) -> Sink:
        """Another command that takes the destination, as a process."""
        return Sink(config, self.name, *arguments, command=(command,), **options)

    def drain(self, deadline_s: float = 90.0, config: Path | None = None) -> None:
        """Run a sink until it has caught up, and expect it to end well."""
        with self.sink(config, "--once") as sink:
            status = sink.wait(deadline_s)
            assert status == 0, f"the sink ended with {status}:\n{sink.said[-4000:]}"

    def behind(self, ends: Ends) -> str | None:
        return chains.behind(self.store, ends)

    def until_reached(self, ends: Ends, sink: Sink | None = None, deadline_s: float = 90.0) -> None:
        wait_for("durability of everything", lambda: self.behind(ends), deadline_s, sink)

    def verify(self, ends: Ends, *, count: bool = True) -> Verdict:
        """Nothing lost, nothing invented, nothing altered, up to `ends`; fails with what was wrong."""
        verdict = chains.verify(
            self.store,
            self.capture.bootstrap,
            self.capture.endpoints.registry.url,
            self.capture.name,
            ends,
            count=count,
        )
        assert not verdict.problems, str(verdict)
        assert verdict.records > 0
        return verdict


@contextmanager
def place_of(capture: Capture) -> Iterator[Place]:
    """A place whose bucket goes afterwards."""
    server = server_of(capture.endpoints)
    with server.container() as bucket:
        yield Place(capture, server, bucket)


def server_of(endpoints: Endpoints) -> S3Cloud:
    return S3Cloud(endpoints.s3.endpoint_url, endpoints.s3.access_key, endpoints.s3.secret_key)


def shorten_session(bootstrap: str, group: str) -> None:
    """The session time-out is the broker's, per group, in the consumer protocol (KIP-848)."""
    entry = ConfigEntry(
        "consumer.session.timeout.ms", str(SESSION_MS), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})  # a name, or it is gone before the answer comes
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)
