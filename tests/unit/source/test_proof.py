from __future__ import annotations

from replicator.source.captured import Captured
from replicator.source.connector import render
from replicator.source.proof import config_hash
from tests.unit.source.configs import config

BASE = render(config(), Captured())


def test_what_has_no_bearing_on_values_keeps_the_proof() -> None:
    for setting, value in {
        "database.password": "other",
        "database.hostname": "elsewhere",
        "poll.interval.ms": "500",
        "max.batch.size": "10",
        "message.key.columns": "a:b",
        "table.exclude.list": "x",
        "topic.creation.default.partitions": "9",
        "producer.override.linger.ms": "0",
        "name": "x",
    }.items():
        assert config_hash({**BASE, setting: value}) == config_hash(BASE), setting


def test_what_decides_how_values_arrive_needs_a_new_proof() -> None:
    for setting, value in {
        "value.converter": "io.apicurio.registry.utils.converter.AvroConverter",
        "value.converter.ignore.default.for.nullables": "false",
        "time.precision.mode": "connect",
        "decimal.handling.mode": "precise",
        "transforms": "flatten",
        "connector.class": "x",
    }.items():
        assert config_hash({**BASE, setting: value}) != config_hash(BASE), setting
