"""From a poison record and a refused segment to a restore that equals the source."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from deploy.local.endpoints import Endpoints
from replicator.deadletter.topic import name_of
from tests.faults.capture import captured
from tests.faults.moments import remember, restore_equals
from tests.faults.place import QUICK, place_of
from tests.faults.proxy import Action, FaultProxy, Request, Respond


def test_what_went_to_letters_is_named_by_a_restore_and_once_settled_it_equals_the_source(
    stack: Endpoints, tmp_path: Path
) -> None:
    with captured(stack, tmp_path / "c") as capture, place_of(capture) as target:
        guests, weddings = f"{capture.name}.public.guests", f"{capture.name}.public.weddings"

        def refused(request: Request) -> Action:
            if request.method == "PUT" and f"/v1/changes/{guests}/" in request.target:
                return Respond(403, b"<Error><Code>AccessDenied</Code></Error>")
            return None

        capture.settle()
        producer = Producer({"bootstrap.servers": capture.bootstrap})
        producer.produce(weddings, key=b"{}", value=b'{"sent": "by hand"}', partition=0)
        assert producer.flush(30) == 0
        with psycopg.connect(capture.dsn) as connection:
            connection.execute("UPDATE weddings SET budget = budget + 1")
            connection.execute("UPDATE guests SET name = name || '!' WHERE id % 3 = 0")
            connection.execute("DELETE FROM guests WHERE id % 7 = 0")
        moment = remember(capture)
        capture.settle()
        with FaultProxy(target.server.url) as proxy:
            proxy.rule = refused
            sink = {"sink": {**QUICK, "refusal_patience_s": 1.0}}
            target.drain(config=target.config(endpoint_url=proxy.url, sections=sink))
        config = target.config()

        def listed() -> list[tuple[str, str, int]]:
            done = capture.replicator(config, "dlq", "list", target.name, "--json")
            found = json.loads(done.stdout)["letters"]
            return [(each["topic"], each["id"], each["next"] - each["first"]) for each in found]

        def refusal() -> str:
            """What a restore says that must not be possible yet."""
            name = f"{capture.name}_refused"
            with psycopg.connect(stack.postgres.dsn, autocommit=True) as admin:
                admin.execute(f'CREATE DATABASE "{name}"'.encode())
                try:
                    done = capture.replicator(
                        config, "restore", "--from", target.name, "--to-lsn", moment.lsn,
                        "--target", stack.postgres.dsn_of(name), check=False,
                    )  # fmt: skip
                finally:
                    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
            assert done.returncode in (4, 5), f"{done.returncode} {done.stdout} {done.stderr}"
            return done.stderr

        try:
            assert {topic for topic, _, _ in listed()} == {guests, weddings}
            said = refusal()
            assert "guests" in said or "leaves out" in said, "it names what it met first"
            again = capture.replicator(config, "replay", target.name, "--once", check=False)
            assert again.returncode == 4, again.stderr
            [(topic, poison, width)] = listed()
            assert (topic, width) == (weddings, 1), "the ranges are in, the poison isn't"
            assert "leaves out" in refusal()
            capture.replicator(config, "dlq", "discard", target.name, poison, "--reason", "sent by hand")
            assert listed() == []
            assert restore_equals(capture, target, moment) > 0
        finally:
            admin = AdminClient({"bootstrap.servers": capture.bootstrap})
            for future in admin.delete_topics([name_of(capture.name, target.name)]).values():
                future.result(30)
