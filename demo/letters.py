"""The act with what can't be delivered: poison and a refused segment go to dead letters and are settled."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from confluent_kafka import Producer

from demo import clouds
from demo.processes import Program
from demo.site import DemoError
from demo.stage import Stage
from replicator import config
from replicator.deadletter.box import Case
from replicator.deadletter.topic import LetterTopic

REFUSING = "azure"
_POISON = b"{'not': 'in wire format'}"
_PATIENCE_S = 120.0
_SETTLE_S = 400.0
_REASON = "the demonstration produced it by hand"


@dataclass(slots=True)
class Letters:
    """How many letters of each kind came up in each cloud, and how many are left in the end."""

    written: dict[str, dict[str, int]] = field(default_factory=dict)
    discarded: int = 0
    replayed: int = 0
    left: int = 0


def provoke(stage: Stage, traffic: Program) -> None:
    """Slip a record into a table's topic that is none, have one segment refused, and wait for the letters."""
    show, site = stage.show, stage.site
    producer = Producer({"bootstrap.servers": site.endpoints.kafka.bootstrap_servers, "log_level": 2})
    producer.produce(f"{site.name}.public.guests", _POISON, partition=0)
    if producer.flush(30.0):
        raise DemoError("Kafka didn't take the poison record within 30 s.")
    site.refusal.write_text(f"/{site.name}.public.photos/")
    show.step(
        "somebody produces a record by hand that is no change; and Azure refuses one segment, by a policy"
    )
    wanted = {"s3": {"record"}, REFUSING: {"record", "range"}}
    boxes = {name: LetterTopic(config.load(site.config), name) for name in clouds.ACTIVE}

    def missing() -> str | None:
        for name, kinds in wanted.items():
            found = {case.letter.kind.value for case in boxes[name].read().cases.values()}
            if not kinds <= found:
                return f"{name} has no dead letter of kind {', '.join(sorted(kinds - found))}"
        return None

    stage.flow(traffic, _PATIENCE_S, until=missing)
    site.refusal.unlink()
    show.step("both are in dead letters, with where they belong and why; the lanes have flowed on")


def settle(stage: Stage, traffic: Program) -> Letters:
    """List the letters, discard the poison with a reason, replay the refused range, while the traffic flows.

    Until then no restore point is published: what one says is there would lack what the letters are about.
    """
    stage.show.step("the poison is discarded with a reason; the replay consumer stores the refused range")
    done = Letters()
    with ThreadPoolExecutor(len(clouds.ACTIVE)) as pool:
        discarding = {name: pool.submit(_discard, stage, name) for name in clouds.ACTIVE}

        def discarded() -> str | None:
            busy = [name for name, future in discarding.items() if not future.done()]
            return f"the poison of {', '.join(busy)} isn't discarded" if busy else None

        stage.flow(traffic, _SETTLE_S, until=discarded)
        for future in discarding.values():
            future.result()
    boxes = {name: LetterTopic(config.load(stage.site.config), name) for name in clouds.ACTIVE}
    cases: dict[str, list[Case]] = {}

    def settled() -> str | None:
        for name, box in boxes.items():
            cases[name] = list(box.read().cases.values())
            if any(case.settlement is None for case in cases[name]):
                return f"letters of {name} are still open"
        return None

    stage.flow(traffic, _SETTLE_S, until=settled)
    for name, found in cases.items():
        _note(stage, done, name, found)
    return done


def _note(stage: Stage, done: Letters, destination: str, cases: list[Case]) -> None:
    kinds = [case.letter.kind.value for case in cases]
    done.written[destination] = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    for case in cases:
        reason = case.settlement.as_json()["reason"] if case.settlement else None
        done.discarded += reason == "discarded"
        done.replayed += reason == "stored"
        done.left += reason is None
        stage.show.result(f"{destination}: {_line(case)}")


def _discard(stage: Stage, destination: str) -> None:
    """Give up one cloud's poison; nobody misses it."""
    run = stage.site.run
    letters = json.loads(run("dlq", "list", destination, "--json"))["letters"]
    poison = [letter["id"] for letter in letters if letter["kind"] == "record"]
    run("dlq", "discard", destination, *poison, "--reason", _REASON)


def _line(case: Case) -> str:
    letter = case.letter.as_json()
    topic = letter["topic"].split(".", 1)[1]
    offsets = f"{topic}[{letter['partition']}] {letter['first']}"
    if letter["next"] - letter["first"] > 1:
        offsets += f" to {letter['next'] - 1}"
    settlement = case.settlement.as_json() if case.settlement else None
    end = "OPEN" if settlement is None else f"{settlement['reason']}, {settlement['detail']}"
    return f"{letter['kind']} {offsets}, {letter['reason']}: {end}"
