"""What nobody sends on purpose: a clear error that names the place, nothing lost, nothing skipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from replicator.storage.s3 import S3Store
from tests.faults import chains
from tests.faults.place import Place, place_of
from tests.faults.proxy import Action, FaultProxy, Request, Respond
from tests.faults.raw import VALUE, RawInstallation, raw_installation
from tests.faults.sinks import Sink, wait_for
from tests.faults.topics import Ends


@pytest.fixture
def raw(stack: Endpoints, tmp_path: Path) -> Iterator[RawInstallation]:
    with raw_installation(stack, tmp_path / "raw") as made:
        yield made


@pytest.fixture
def target(raw: RawInstallation) -> Iterator[Place]:
    with place_of(raw) as made:
        yield made


def told(sink: Sink, *words: str) -> str | None:
    """None once the sink has said all of these words, else which are missing."""
    missing = [word for word in words if word not in sink.said]
    return f"it didn't say {missing}" if missing else None


def test_an_id_whose_text_changed_since_it_was_stored_stops_the_partition(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("bad")
    raw.produce("bad", 30)
    target.drain()
    raw.produce("bad", 30, first=30)
    changed = json.loads(json.dumps(VALUE))
    changed["fields"].append({"name": "more", "type": ["null", "string"], "default": None})

    def forgetful(request: Request) -> Action:
        """A registry that lost its storage and gave the same number to another schema."""
        if not request.target.split("?")[0].endswith(f"/schemas/ids/{raw.value_id}"):
            return None
        body = json.dumps({"schema": json.dumps(changed), "schemaType": "AVRO"}).encode()
        return Respond(200, body, {"content-type": "application/json"})

    registry = raw.endpoints.registry.url
    with FaultProxy(registry) as proxy:
        proxy.rule = forgetful
        path = "/" + registry.split("/", 3)[3]
        config = target.config(sections={"registry": {"url": proxy.url + path}})
        with target.sink(config) as sink:
            sink.until("the error", lambda: told(sink, raw.topic("bad"), str(raw.value_id), "text"), 40)
            wait_for("a readyz that says no", lambda: None if sink.ready() else "it says yes", 20, sink)
    assert chains.reached(chains.listed(target.store)) == {(raw.topic("bad"), 0): 30}
    target.drain()
    target.verify(raw.ends(), count=False)


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is stopped"])
def test_a_topic_that_was_recreated_begins_a_new_chain_at_its_first_record(
    raw: RawInstallation, target: Place, running: bool
) -> None:
    raw.create("bad")
    raw.produce("bad", 40)
    sink = target.sink()
    with sink:
        target.until_reached(raw.ends(), sink)
        if not running:
            sink.kill()
        [former] = chains.listed(target.store)
        raw.delete("bad")
        wait_for("the topic's end", lambda: "it is still there" if raw.exists("bad") else None, 30)
        raw.create("bad")
        raw.produce("bad", 60, first=1000)
        wanted: Ends = {(raw.topic("bad"), 0): 60}

        def new_chain() -> str | None:
            new = {chain: names for chain, names in chains.listed(target.store).items() if chain != former}
            have = chains.reached(new)
            return None if have == wanted else f"the new chains reach {have} of {wanted}"

        if running:
            wait_for("the new chain", new_chain, 60, sink)
        else:
            target.drain()
            assert new_chain() is None
    both = chains.listed(target.store)
    assert chains.reached({former: both[former]}) == {(raw.topic("bad"), 0): 40}


def test_records_that_kafka_no_longer_has_are_an_error_and_never_a_hole(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("good", "bad")
    raw.produce("bad", 40)
    raw.produce("good", 40)
    target.drain()
    raw.produce("bad", 60, first=40)
    raw.delete_records("bad", 70)
    raw.produce("good", 60, first=40)
    with target.sink() as sink:
        sink.until("the error", lambda: told(sink, raw.topic("bad"), "40", "70", "gone"), 40)
        target.until_reached({(raw.topic("good"), 0): 100}, sink)
        wait_for("a readyz that says no", lambda: None if sink.ready() else "it says yes", 20, sink)
    assert chains.reached(chains.listed(target.store))[raw.topic("bad"), 0] == 40


def fails(target: Place, config: Path, status: int, *words: str) -> None:
    """The sink ends with that status, having said these words, and nothing is in the bucket."""
    with target.sink(config) as sink:
        ended = sink.wait(60)
    assert told(sink, *words) is None, f"{told(sink, *words)}:\n{sink.said[-3000:]}"
    assert ended == status, f"ended with {ended}:\n{sink.said[-3000:]}"
    assert "Traceback" not in sink.said
    assert list(target.store.list("v1/changes/")) == []


def test_a_bucket_that_does_not_exist_ends_the_sink_at_its_start(raw: RawInstallation, target: Place) -> None:
    raw.create("good")
    raw.produce("good", 10)
    fails(target, target.config(bucket="not-there-at-all"), 6, "NoSuchBucket", "not-there-at-all", "next:")
    target.drain()
    target.verify(raw.ends(), count=False)


@pytest.mark.parametrize("wrong", ["access_key_id", "secret_access_key"])
def test_wrong_credentials_end_the_sink_at_its_start(raw: RawInstallation, target: Place, wrong: str) -> None:
    raw.create("good")
    raw.produce("good", 10)
    fails(target, target.config(**{wrong: "not-the-right-one"}), 6, wrong, "next:")
    target.drain()
    target.verify(raw.ends(), count=False)


def test_a_clock_that_is_off_is_named_as_what_is_wrong(
    raw: RawInstallation, target: Place, tmp_path: Path
) -> None:
    raw.create("good")
    raw.produce("good", 10)
    # The process lives two hours ago wherever it signs a request; the server's refusal is its own.
    (tmp_path / "sitecustomize.py").write_text(
        "import datetime, botocore.auth\n"
        "def late(remove_tzinfo=True):\n"
        "    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)\n"
        "    return now.replace(tzinfo=None) if remove_tzinfo else now\n"
        "botocore.auth.get_current_datetime = late\n"
    )
    with target.sink(environment={"PYTHONPATH": str(tmp_path)}) as sink:
        assert sink.wait(60) == 6, sink.said[-3000:]
    assert told(sink, "RequestTimeTooSkewed", "clock", "NTP") is None, sink.said[-3000:]
    target.drain()
    target.verify(raw.ends(), count=False)


def test_two_sinks_with_one_name_and_different_places_are_refused(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("good")
    raw.produce("good", 10)
    with target.sink() as first:
        target.until_reached(raw.ends(), first)
        other = target.config(prefix="elsewhere")
        with target.sink(other) as second:
            assert second.wait(60) == 2, second.said[-3000:]
        assert told(second, "another place", "next:") is None, second.said[-3000:]
        raw.produce("good", 10, first=10)
        target.until_reached(raw.ends(), first)
    # And when the first one is gone, its commits still say whose they are.
    with target.sink(other) as second:
        second.until("the refusal", lambda: told(second, "another place"), 40)
    elsewhere = S3Store(target.server.destination(target.bucket, prefix="elsewhere"))
    assert list(elsewhere.list("v1/changes/")) == []
    target.verify(raw.ends(), count=False)
