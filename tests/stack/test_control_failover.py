"""Leaders and failover on a real Kafka, with real destinations that really fail."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deploy.local.endpoints import Endpoints
from replicator.control.events import topic as control_topic
from replicator.control.events.event import Event, Kind
from replicator.control.events.journal import FencedError, Journal
from replicator.control.events.log import ControlLog
from replicator.points import stored
from replicator.storage import open_store
from tests.faults import chains
from tests.faults.place import server_of
from tests.faults.proxy import FaultProxy
from tests.faults.sinks import Process
from tests.stack.controlled import Controlled, controlled


@pytest.fixture
def installation(stack: Endpoints, tmp_path: Path) -> Iterator[Controlled]:
    with controlled(stack, tmp_path / "controlled") as made:
        yield made


@pytest.fixture
def fragile(stack: Endpoints) -> Iterator[tuple[FaultProxy, dict[str, Any]]]:
    """A bucket behind a proxy that can be taken down, and its destination."""
    server = server_of(stack)
    with server.container() as bucket, FaultProxy(server.url) as proxy:
        yield (
            proxy,
            {
                "type": "s3",
                "bucket": bucket,
                "endpoint_url": proxy.url,
                "region": "us-east-1",
                "access_key_id": server.access_key,
                "secret_access_key": server.secret_key,
                "connect_timeout_s": 2.0,
                "read_timeout_s": 5.0,
            },
        )


def leader_of(processes: list[Process]) -> list[Process]:
    return [each for each in processes if each.running and each.leads]


def test_one_of_two_leads_and_the_other_takes_over_when_it_is_killed(installation: Controlled) -> None:
    config = installation.config({"primary": installation.directory_of("primary")})
    installation.commit()
    with installation.control(config) as one, installation.control(config) as two:
        both = [one, two]
        one.until("a leader", lambda: None if len(leader_of(both)) == 1 else "there is none")
        [first] = leader_of(both)
        [second] = [each for each in both if each is not first]
        first.signal(signal.SIGKILL)
        killed = time.monotonic()
        second.until("the other to lead", lambda: None if second.leads else "it doesn't", 20)
        assert time.monotonic() - killed < 20
    log = ControlLog(installation.settings(config))
    terms = [each for each in log.catch_up() if isinstance(each, Event) and each.kind == Kind.LEADER]
    log.close()
    assert [term.epoch for term in terms] == [1, 2]
    assert not log.refused


def test_a_leader_that_was_stopped_and_comes_back_stands_by(installation: Controlled) -> None:
    config = installation.config({"primary": installation.directory_of("primary")})
    installation.commit()
    with installation.control(config) as one, installation.control(config) as two:
        both = [one, two]
        one.until("a leader", lambda: None if len(leader_of(both)) == 1 else "there is none")
        [first] = leader_of(both)
        [second] = [each for each in both if each is not first]
        first.signal(signal.SIGSTOP)
        second.until("the other to lead", lambda: None if second.leads else "it doesn't", 30)
        first.signal(signal.SIGCONT)
        first.until("the first to stand by", lambda: "it still leads" if first.leads else None, 60)
        assert second.leads
    log = ControlLog(installation.settings(config))
    told = [each for each in log.catch_up() if isinstance(each, Event)]
    log.close()
    assert [each.epoch for each in told] == sorted(each.epoch for each in told), "nothing came late"
    assert not log.refused


def test_a_leader_that_was_replaced_can_write_no_more(installation: Controlled) -> None:
    settings = installation.settings(installation.config({"primary": installation.directory_of("primary")}))
    control_topic.ensure(settings)
    former = Journal(settings)
    former.write([Event(Kind.LEADER, 1, "former", epoch=1, number=1)])
    Journal(settings).write([Event(Kind.LEADER, 2, "later", epoch=2, number=1)])
    with pytest.raises(FencedError):
        former.write([Event(Kind.ACTIVATED, 3, "former", destination="b", epoch=1, number=2)])
    log = ControlLog(settings)
    log.catch_up()
    assert log.state.epoch == 2 and not log.state.duties


def test_an_event_out_of_order_is_refused_by_every_reader(installation: Controlled) -> None:
    config = installation.config({"primary": installation.directory_of("primary")})
    settings = installation.settings(config)
    control_topic.ensure(settings)
    journal = Journal(settings)
    journal.write([Event(Kind.LEADER, 1, "a", epoch=3, number=1)])
    journal.write([Event(Kind.ACTIVATED, 2, "b", destination="primary", epoch=2, number=9)])
    done = installation.raw.replicator(config, "events", "--json")
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["leader"]
    assert "epoch 2 was over: epoch 3 leads" in done.stderr


def test_a_hard_failure_activates_the_standby_in_time_and_without_a_gap(
    installation: Controlled, fragile: tuple[FaultProxy, dict[str, Any]]
) -> None:
    proxy, first = fragile
    config = installation.config(
        {
            "first": first,
            "spare": {**installation.directory_of("spare"), "role": "standby"},
        },
        min_copies=1,
        decide_within_s=30.0,
    )
    for _ in range(5):
        installation.commit(50)
    with (
        installation.control(config) as control,
        installation.sink(config, "first") as sink,
        installation.sink(config, "spare") as spare,
    ):
        first_store = open_store(installation.settings(config).destination("first"))
        ends = installation.raw.ends()
        sink.until("all to be stored", lambda: chains.behind(first_store, ends), 60)
        control.until("health to be known", lambda: _health(control, "first", 1))
        spare.until("the standby's sink to wait", lambda: _waits(spare), 60)
        proxy.down()
        failed_at = time.time()
        installation.commit(100)
        kept = '{destination="spare"}'
        control.until(
            "the standby to be on duty",
            lambda: (
                None
                if control.metrics().get(f"replicator_destination_on_duty{kept}") == 1
                else f"it isn't: {control.metrics()}"
            ),
        )
        [activated] = [event for event in installation.events(config) if event["kind"] == "activated"]
        assert activated["at"] / 1000 - failed_at <= 30.0
        assert "first" in activated["reason"]
        spare_store = open_store(installation.settings(config).destination("spare"))
        begins = {(each["topic"], each["partition"]): each["offset"] for each in activated["offsets"]}
        ends = installation.raw.ends()
        spare.until("the rest to be in the standby", lambda: _covered(spare_store, begins, ends), 60)
        seen = status_of(installation, config)
        assert seen["spare"]["on_duty"] and seen["spare"]["sinks"] == 1
        assert seen["first"]["health"] == "down" and "transient" in seen["first"]["health_reason"]
        proxy.heal()
        proxy.up()
        first_store = open_store(installation.settings(config).destination("first"))
        sink.until("the first to catch up", lambda: chains.behind(first_store, ends), 90)
        control.until(
            "the standby to be released",
            lambda: (
                None
                if control.metrics().get(f"replicator_destination_on_duty{kept}") == 0
                else "it is still on duty"
            ),
            90,
        )
        spare.until("the standby's sink to wait again", lambda: _waits(spare), 60)
    events = installation.events(config)
    kinds = [event["kind"] for event in events]
    alerts = {event["subject"] for event in events if event["kind"] == "alert"}
    assert "connector_absent" in alerts, "these topics are written by hand"
    assert kinds.count("activated") == kinds.count("released") == 1
    assert kinds.index("promise_broken") < kinds.index("activated") < kinds.index("released")


def test_an_activated_standby_is_given_the_past_and_gets_points_of_its_own(
    installation: Controlled,
) -> None:
    config = installation.config(
        {
            "first": installation.directory_of("first"),
            "spare": {**installation.directory_of("spare"), "role": "standby"},
        }
    )
    for _ in range(3):
        installation.commit(40)
    with (
        installation.control(config) as control,
        installation.sink(config, "first") as sink,
        installation.sink(config, "spare"),
    ):
        first = open_store(installation.settings(config).destination("first"))
        spare = open_store(installation.settings(config).destination("spare"))
        ends = installation.raw.ends()
        sink.until("all to be stored", lambda: chains.behind(first, ends), 60)
        control.until("health to be known", lambda: _health(control, "spare", 1))
        installation.raw.replicator(config, "failover", "activate", "spare", "--why", "a rehearsal")
        installation.commit(40)
        later = installation.raw.ends()
        control.until("all of the past and the present in the standby", lambda: chains.behind(spare, later))
        control.until("a point of its own", lambda: None if list(stored.names(spare)) else "there is none")
        assert status_of(installation, config)["spare"]["copied"] is True
    copied = [event for event in installation.events(config) if event["kind"] == "copied"]
    assert [(event["destination"], event["subject"]) for event in copied] == [("spare", "first")]
    assert copied[0]["facts"]["segments"] > 0


def test_people_activate_release_pause_and_resume_and_are_named(installation: Controlled) -> None:
    config = installation.config(
        {
            "first": installation.directory_of("first"),
            "spare": {**installation.directory_of("spare"), "role": "standby"},
        }
    )
    installation.commit()

    def ask(*arguments: str, check: bool = True) -> Any:
        return installation.raw.replicator(
            config, "failover", *arguments, "--who", "ann", "--why", "a rehearsal", check=check
        )

    with installation.control(config) as control, installation.sink(config, "first"):
        control.until("a leader", lambda: None if control.leads else "there is none")
        control.until("health to be known", lambda: _health(control, "first", 1))
        assert "activated spare" in ask("activate", "spare").stdout
        refused = ask("activate", "spare", check=False)
        assert refused.returncode == 4 and "active already" in refused.stderr
        assert "released spare" in ask("release", "spare").stdout
        refused = ask("release", "first", check=False)
        assert refused.returncode == 4 and "active destination" in refused.stderr
        ask("pause")
        control.until(
            "the pause to be told",
            lambda: None if control.metrics().get("replicator_failover_paused") == 1 else "it isn't",
        )
        ask("resume")
    asked = [event for event in installation.events(config) if event["kind"] == "asked"]
    assert [event["subject"] for event in asked] == [
        "activate",
        "activate",
        "release",
        "release",
        "pause",
        "resume",
    ]
    assert {(event["by"], event["reason"]) for event in asked} == {("ann", "a rehearsal")}


def test_nobody_answers_without_a_leader(installation: Controlled) -> None:
    config = installation.config({"spare": {**installation.directory_of("spare"), "role": "standby"}})
    control_topic.ensure(installation.settings(config))
    done = installation.raw.replicator(
        config, "failover", "activate", "spare", "--why", "x", "--deadline", "2", check=False
    )
    assert done.returncode == 4
    assert "No leader answered" in done.stderr


def status_of(installation: Controlled, config: Path) -> dict[str, Any]:
    """What `replicator status --json` says of each destination."""
    done = installation.raw.replicator(config, "status", "--json", check=False)
    assert done.stdout, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)["destinations"]}


def _health(control: Process, name: str, wanted: float) -> str | None:
    found = control.metrics().get(f'replicator_destination_health{{destination="{name}"}}')
    return None if found == wanted else f"{name} is {found}"


def _waits(spare: Any) -> str | None:
    with suppress(OSError):
        said = spare.ready()
        return None if said is not None and "waits until control" in said else f"it says {said}"
    return "it doesn't answer"


def _covered(store: Any, begins: dict[tuple[str, int], int], ends: dict[tuple[str, int], int]) -> str | None:
    """What the standby lacks of the offsets from where it was to begin up to the ends."""
    listed = chains.listed(store)
    for place, end in ends.items():
        at = begins.get(place, 0)
        for names in (names for chain, names in listed.items() if chain.place == place):
            for name in names:
                if name.first <= at < name.next:
                    at = name.next
        if at < end:
            return f"{place} has {at} of {end}"
    return None
