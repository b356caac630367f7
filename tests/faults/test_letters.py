"""What a destination can't take: it goes to a dead letter with its coordinates, and the lane flows on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local.endpoints import Endpoints
from replicator.config import load
from replicator.control.events import topic as control
from replicator.deadletter.topic import name_of
from replicator.segment.read import open_header
from tests.faults import chains
from tests.faults.place import QUICK, Place, place_of
from tests.faults.proxy import Action, FaultProxy, Request, Respond
from tests.faults.raw import VALUE, RawInstallation, raw_installation
from tests.faults.sinks import wait_for

REGISTRY_PATIENCE_S = 3


@pytest.fixture
def raw(stack: Endpoints, tmp_path: Path) -> Iterator[RawInstallation]:
    with raw_installation(stack, tmp_path / "raw") as made:
        yield made


@pytest.fixture
def target(raw: RawInstallation) -> Iterator[Place]:
    with place_of(raw) as made:
        yield made
        admin = AdminClient({"bootstrap.servers": raw.bootstrap})
        known = admin.list_topics(timeout=30).topics
        for topic in (name_of(raw.name, made.name), control.name_of(raw.name)):
            if topic in known:
                admin.delete_topics([topic])[topic].result(30)


def impatient(target: Place, **sections: Any) -> Path:
    """A configuration whose sink waits for an unknown schema for seconds only."""
    registry = {
        "url": target.capture.endpoints.registry.url,
        "unknown_patience_s": REGISTRY_PATIENCE_S,
    }
    return target.config(sections={"registry": registry, **sections})


def letters(target: Place, config: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `dlq list --json` says."""
    done = target.capture.replicator(config, "dlq", "list", target.name, "--json", *arguments)
    found: list[dict[str, Any]] = json.loads(done.stdout)["letters"]
    return found


def left_out(target: Place, topic: str) -> list[tuple[int, int, str]]:
    """The ranges that the topic's segments leave out, with the reasons, as they stand in the bucket."""
    found = []
    for names in chains.listed(target.store).values():
        for name in names:
            if name.topic == topic:
                header = open_header(target.store.get(name.key()), name.key()).header
                found += [(gap.first, gap.next, gap.reason) for gap in header.left_out]
    return found


def test_a_record_that_is_not_in_wire_format_goes_to_a_letter_and_the_rest_flows_on(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("good", "bad")
    raw.produce("good", 100)
    raw.produce("bad", 30)
    raw.produce_bytes("bad", b"{'this': 'is json'}", key=b"\x09odd")
    raw.produce("bad", 10, first=30)
    config = impatient(target)
    with target.sink(config) as sink:
        target.until_reached(raw.ends(), sink)
        wait_for("readiness", sink.ready, 20, sink)
        counted = sink.metrics()
    assert counted['replicator_sink_letters_total{kind="record",reason="not-wire-format"}'] == 1
    [letter] = letters(target, config)
    assert (letter["topic"], letter["partition"], letter["first"]) == (raw.topic("bad"), 0, 30)
    assert bytes.fromhex(letter["record"]["value"]) == b"{'this': 'is json'}"
    assert bytes.fromhex(letter["record"]["key"]) == b"\x09odd"
    assert letter["record"]["timestamp"] > 0
    assert left_out(target, raw.topic("bad")) == [(30, 31, "not-wire-format")]
    shown = raw.replicator(config, "dlq", "show", target.name, letter["id"][:6]).stdout
    assert "this" in shown
    assert "0x09" in shown or "first byte" in shown


def test_records_of_an_unknown_schema_go_to_letters_and_the_rest_flows_on(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("good", "bad")
    raw.produce("good", 100)
    raw.produce("bad", 30)
    raw.produce("bad", 10, first=30, value_id=99_999_999)
    raw.produce("bad", 20, first=40)
    config = impatient(target)
    with target.sink(config) as sink:
        target.until_reached({(raw.topic("good"), 0): 100}, sink)

        def missing() -> str | None:
            found = len(letters(target, config))
            return None if found == 10 else f"{found} of 10 letters"

        wait_for("the letters", missing, 60, sink)

        def stored() -> str | None:
            have = [
                name.next
                for names in chains.listed(target.store).values()
                for name in names
                if name.topic == raw.topic("bad")
            ]
            return None if max(have, default=0) >= 60 else f"bad reaches {have}"

        wait_for("what follows them", stored, 60, sink)
    found = letters(target, config, "--reason", "unknown-schema", "--topic", raw.topic("bad"))
    assert [letter["first"] for letter in found] == list(range(30, 40))
    for letter in found:
        assert bytes.fromhex(letter["record"]["value"]) == raw.value(letter["first"], 99_999_999)


def refusing(topic: str) -> Callable[[Request], Action]:
    """A store that takes everything but the segments of that topic, as a policy on a prefix would have it."""

    def rule(request: Request) -> Action:
        if request.method == "PUT" and f"/v1/changes/{topic}/" in request.target:
            return Respond(403, b"<Error><Code>AccessDenied</Code><Message>by policy</Message></Error>")
        return None

    return rule


def test_a_segment_that_a_healthy_destination_refuses_becomes_a_hole_with_a_letter(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("good", "bad")
    raw.produce("good", 100)
    raw.produce("bad", 30)
    with FaultProxy(target.server.url) as proxy:
        proxy.rule = refusing(raw.topic("bad"))
        config = target.config(
            endpoint_url=proxy.url, sections={"sink": {**QUICK, "refusal_patience_s": 2.0}}
        )
        with target.sink(config) as sink:
            sink.until("the letter", lambda: None if letters(target, config) else "there is none", 60)
            proxy.heal()
            raw.produce("bad", 20, first=30)
            raw.produce("good", 20, first=100)

            def stored() -> str | None:
                have = chains.reached(chains.listed(target.store)).get((raw.topic("good"), 0), 0)
                ends = [name.next for names in chains.listed(target.store).values() for name in names]
                return None if have >= 120 and 50 in ends else f"good reaches {have}, ends are {ends}"

            wait_for("what follows", stored, 60, sink)
            wait_for("readiness", sink.ready, 20, sink)
            sink.terminate()
            assert sink.wait(30) == 0, sink.said[-3000:]
    found = letters(target, config, "--kind", "range")
    assert {letter["topic"] for letter in found} == {raw.topic("bad")}
    assert found[0]["first"] == 0
    assert found[-1]["next"] == 30, "what came after the mending was stored"
    assert "403" in found[0]["detail"] or "AccessDenied" in found[0]["detail"]
    committed = Consumer({"bootstrap.servers": raw.bootstrap, "group.id": target.group}).committed(
        [TopicPartition(raw.topic("bad"), 0)], timeout=30
    )
    assert committed[0].offset == 50, "the commit passed the hole once its letter was durable"


def test_a_destination_that_is_down_for_a_while_writes_no_letter(raw: RawInstallation, target: Place) -> None:
    raw.create("good")
    raw.produce("good", 50)
    with FaultProxy(target.server.url) as proxy:
        config = target.config(
            endpoint_url=proxy.url, sections={"sink": {**QUICK, "refusal_patience_s": 0.5}}
        )
        with target.sink(config) as sink:
            target.until_reached(raw.ends(), sink)
            proxy.rule = lambda _: Respond(403, b"<Error><Code>AccessDenied</Code></Error>")
            raw.produce("good", 50, first=50)

            def paused() -> str | None:
                figures = sink.metrics()
                opened, probes = (
                    figures["replicator_sink_lane_open"],
                    figures.get('replicator_sink_probes_total{result="failed"}', 0),
                )
                return None if opened == 1 and probes >= 4 else f"open: {opened}, probes: {probes}"

            wait_for("the open circuit", paused, 60, sink)
            assert "destination" in str(sink.ready())
            proxy.heal()
            target.until_reached(raw.ends(), sink)
            wait_for("readiness", sink.ready, 20, sink)
    assert letters(target, config) == []
    target.verify(raw.ends(), count=False)


def forgetful(raw: RawInstallation, id_: int) -> Callable[[Request], Action]:
    """A registry that doesn't know that schema yet."""

    def rule(request: Request) -> Action:
        if request.target.split("?")[0].endswith(f"/schemas/ids/{id_}"):
            return Respond(404, b'{"error_code": 40403, "message": "Schema not found"}')
        return None

    return rule


def settled(target: Place, config: Path) -> str | None:
    """None once every letter is settled."""
    left = letters(target, config)
    return f"{len(left)} letters are open: {left[:2]}" if left else None


LATER = {**VALUE, "name": "Later"}


def test_records_whose_schema_can_be_had_at_last_are_filled_in(raw: RawInstallation, target: Place) -> None:
    raw.create("bad")
    later = raw.register(f"{raw.name}-later", LATER)
    raw.produce("bad", 30)
    raw.produce("bad", 10, first=30, value_id=later)
    raw.produce("bad", 20, first=40)
    registry = raw.endpoints.registry.url
    with FaultProxy(registry) as proxy:
        proxy.rule = forgetful(raw, later)
        url = proxy.url + "/" + registry.split("/", 3)[3]
        config = target.config(
            sections={
                "registry": {"url": url, "unknown_patience_s": REGISTRY_PATIENCE_S},
                "replay": {"poll_s": 0.5, "metrics_port": 0},
            }
        )
        target.drain(config=config)
        assert len(letters(target, config)) == 10
        done = raw.replicator(config, "replay", target.name, "--once", check=False)
        assert done.returncode == 4, "they can't be closed before the schema is there"
        assert len(letters(target, config)) == 10
        proxy.heal()
        raw.replicator(config, "replay", target.name, "--once")
    assert settled(target, config) is None
    assert {letter["settlement"]["reason"] for letter in letters(target, config, "--all")} == {"stored"}
    verdict = target.verify(raw.ends(), count=False)
    assert verdict.records == 60


def test_a_refused_range_goes_in_when_the_destination_takes_it_again(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("bad")
    raw.produce("bad", 30)
    with FaultProxy(target.server.url) as proxy:
        proxy.rule = refusing(raw.topic("bad"))
        config = target.config(
            endpoint_url=proxy.url,
            sections={
                "sink": {**QUICK, "refusal_patience_s": 1.0},
                "replay": {"poll_s": 0.5, "metrics_port": 0},
            },
        )
        target.drain(config=config)
        assert letters(target, config), "the range went to a letter, and the sink came to its end"
        assert chains.listed(target.store) == {}
        with target.process("replay", config) as replay:
            wait_for("a pass", lambda: None if "pass" in replay.said else "none yet", 60, replay)
            assert letters(target, config)
            proxy.heal()
            wait_for("the settlement", lambda: settled(target, config), 90, replay)
            replay.terminate()
            assert replay.wait(30) == 0, replay.said[-3000:]
    target.verify(raw.ends(), count=False)


@pytest.mark.parametrize("point", ["letter_sending", "letter_written"])
def test_a_sink_that_is_killed_around_a_letter_loses_neither_the_letter_nor_a_record(
    raw: RawInstallation, target: Place, point: str
) -> None:
    raw.create("bad")
    raw.produce("bad", 30)
    raw.produce_bytes("bad", b"{}")
    raw.produce("bad", 10, first=31)
    config = impatient(target)
    with target.sink(config, failpoint=point) as sink:
        assert sink.wait(60) == -9, sink.said[-3000:]
    target.drain(config=config)
    [letter] = letters(target, config)
    assert (letter["first"], letter["times"]) == (30, 2 if point == "letter_written" else 1)
    assert left_out(target, raw.topic("bad")) == [(30, 31, "not-wire-format")]
    assert chains.reached(chains.listed(target.store)) == raw.ends()


@pytest.mark.parametrize("point", ["replay_read", "replay_stored", "replay_settled"])
def test_a_replay_that_is_killed_settles_everything_when_it_is_started_again(
    raw: RawInstallation, target: Place, point: str
) -> None:
    raw.create("bad")
    raw.produce("bad", 60)
    with FaultProxy(target.server.url) as proxy:
        proxy.rule = refusing(raw.topic("bad"))
        config = target.config(
            endpoint_url=proxy.url, sections={"sink": {**QUICK, "refusal_patience_s": 1.0}}
        )
        target.drain(config=config)
    plain = target.config()
    with target.process("replay", plain, "--once", failpoint=point) as replay:
        assert replay.wait(60) == -9, replay.said[-3000:]
    raw.replicator(plain, "replay", target.name, "--once")
    assert settled(target, plain) is None
    verdict = target.verify(raw.ends(), count=False)
    assert verdict.overlaps == 0, "what was written before is not written again"


def test_a_letter_that_nobody_misses_is_discarded_for_a_reason_and_kept(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("bad")
    raw.produce("bad", 30)
    raw.produce_bytes("bad", b"{}")
    config = impatient(target)
    control.ensure(load(config))
    target.drain(config=config)
    [letter] = letters(target, config)
    without = raw.replicator(config, "dlq", "discard", target.name, letter["id"], check=False)
    assert without.returncode == 2, "a reason is needed"
    tried = raw.replicator(config, "dlq", "replay", target.name, letter["id"], "--json", check=False)
    assert tried.returncode == 4
    assert json.loads(tried.stdout)["open"][letter["id"]]["hopeless"]
    assert [each["state"] for each in letters(target, config)] == ["escalated"]
    again = raw.replicator(config, "replay", target.name, "--once", check=False)
    assert again.returncode == 4
    raw.replicator(config, "dlq", "discard", target.name, letter["id"], "--reason", "sent by hand")
    assert letters(target, config) == []
    events = [json.loads(line) for line in raw.replicator(config, "events", "--json").stdout.splitlines()]
    assert [each["kind"] for each in events] == ["escalated", "letters_settled"], (
        "each once, and none refused"
    )
    assert (events[0]["destination"], events[0]["subject"]) == (target.name, letter["id"])
    [kept] = letters(target, config, "--all")
    assert kept["settlement"]["detail"] == "sent by hand"
    assert "@" in kept["settlement"]["by"]


def test_a_letter_of_a_future_version_is_named_and_the_others_are_worked(
    raw: RawInstallation, target: Place
) -> None:
    raw.create("bad")
    raw.produce("bad", 30)
    raw.produce_bytes("bad", b"{}")
    config = impatient(target)
    target.drain(config=config)
    producer = Producer({"bootstrap.servers": raw.bootstrap})
    producer.produce(
        name_of(raw.name, target.name), key="ffff", value=b"new", headers={"letter_format": b"2"}
    )
    assert producer.flush(30) == 0
    done = raw.replicator(config, "dlq", "list", target.name, "--json", check=False)
    assert done.returncode == 5
    assert "format 2" in done.stderr
    assert "newer" in done.stderr
    assert len(json.loads(done.stdout)["letters"]) == 1
