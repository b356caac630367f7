"""What a person is told of a registry that is away, refuses, or isn't one; against a real HTTP server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.local.settings import free_ports
from replicator import config
from replicator.deadletter import topic
from replicator.errors import KafkaError
from replicator.records import RecordCodec
from replicator.registry import RegistryError, SchemaRegistry
from tests.unit.answering_registry import AnsweringRegistry, answering


@pytest.fixture
def registry() -> Iterator[AnsweringRegistry]:
    with answering() as found:
        yield found


def client(url: str, **more: Any) -> SchemaRegistry:
    return SchemaRegistry(config.Registry(url=url, timeout_s=5, **more))


def test_a_schema_is_registered_under_its_subject_with_our_credentials(registry: AnsweringRegistry) -> None:
    asking = client(registry.url + "/", user="u", password=SecretStr("p"))
    assert asking.register("a/b-value", '"string"') == 7
    basic = "Basic " + base64.b64encode(b"u:p").decode()
    assert registry.asked == [("POST", "/subjects/a%2Fb-value/versions", {"schema": '"string"'}, basic)]


@pytest.mark.parametrize(
    ("status", "body", "message", "step"),
    [
        (401, b"", "refuses our credentials", "`registry.user` and `registry.password`"),
        (403, b"", "refuses our credentials", "what that user may do"),
        (409, b'{"message": "no"}', "answered 409", "set its compatibility to NONE"),
        (500, b"broken\n  pipe", "broken pipe", "its log"),
        (200, b"<html>log in</html>", "doesn't say: <html>", "correct `registry.url`"),
        (200, b'{"name": "another API"}', "another API", "correct `registry.url`"),
        (200, b'["a list"]', "a list", "correct `registry.url`"),
    ],
)
def test_each_refusal_has_its_own_next_step(
    registry: AnsweringRegistry, status: int, body: bytes, message: str, step: str
) -> None:
    registry.status, registry.body = status, body
    for ask in (lambda: client(registry.url).register("s", "{}"), lambda: client(registry.url).text("1")):
        with pytest.raises(RegistryError) as caught:
            ask()
        assert caught.value.status == status
        assert registry.url in caught.value.message
        assert message in caught.value.message
        assert step in str(caught.value.next_step)


def test_one_that_is_away_says_why_and_what_it_means_for_the_data() -> None:
    [port] = free_ports(1)
    settings = config.Registry(url=f"http://127.0.0.1:{port}")
    away = SchemaRegistry(settings, section="restore.registry", meanwhile="the sink waits")
    with pytest.raises(RegistryError, match=rf":{port} can't be reached: .*refused\.") as caught:
        away.text("1")
    assert caught.value.status is None
    assert caught.value.next_step == "bring it back, or correct `restore.registry.url`; the sink waits"


def test_our_own_records_are_registered_once_and_read_by_what_wrote_them(registry: AnsweringRegistry) -> None:
    codec = RecordCodec(config.Registry(url=registry.url), "control", ("restore_point",))
    record = {
        "installation": "w",
        "cluster_id": "c",
        "destination": "primary",
        "lsn": 2**40,
        "xid": 9,
        "committed_ms": datetime(2026, 1, 1, tzinfo=UTC),
        "commit_offset": 3,
        "made_ms": datetime(2026, 1, 2, tzinfo=UTC),
        "epoch": 1,
        "ends": [{"topic": "t", "topic_id": "x", "partition": 0, "end": 4}],
        "key_id": None,
        "signature": b"s",
    }
    payload = codec.encode("restore_point", record)
    assert codec.encode("restore_point", record) == payload
    assert [path for _, path, _, _ in registry.asked] == [
        "/subjects/control-replicator.control.RestorePoint/versions"
    ]
    registry.body = json.dumps({"schema": registry.asked[0][2]["schema"]}).encode()
    assert codec.decode(payload) == ("restore_point", record)
    assert registry.asked[1:] == [("GET", "/schemas/ids/7", None, None)]


def test_letters_whose_schema_is_refused_say_what_the_registry_said(
    registry: AnsweringRegistry, tmp_path: Path
) -> None:
    registry.status = 401
    path = tmp_path / "replicator.yaml"
    sections = {
        "installation": "w",
        "kafka": {"bootstrap_servers": "127.0.0.1:9"},
        "registry": {"url": registry.url},
        "source": {"dsn": "postgresql:///x"},
    }
    path.write_text(json.dumps(sections))
    letters = topic.LetterTopic(config.load(path), "primary")
    letter: Any = object()
    with pytest.raises(KafkaError, match="refuses our credentials") as caught:
        letters.write([letter])
    assert "`registry.user`" in str(caught.value.next_step)
