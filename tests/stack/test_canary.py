"""The canary through real converters: one that keeps NULL, and one that doesn't."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.converter import PLAIN_CLASS_NAME
from deploy.local.endpoints import Endpoints
from replicator.config import Config, FileDestination
from replicator.errors import SourceError
from replicator.source import canary, proof
from replicator.source.checks.check import Check, Level
from replicator.source.doctor import examine
from replicator.source.proof import UnprovenValuesError
from tests.source_database import SourceDatabase
from tests.stack.source_config import Capture, config_for, installed

SCHEMA = """
CREATE TYPE mood AS ENUM ('happy', 'so so');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN seats AS int CHECK (value > 0);
CREATE TABLE plans (
    id int PRIMARY KEY, diet text DEFAULT 'none', cost numeric(10,2) DEFAULT 0, mood mood, seats seats,
    pair pair, tags text[], "when" timestamptz DEFAULT now(), breaks interval[], starts timetz
)
"""


@pytest.fixture
def source(database: SourceDatabase) -> Iterator[SourceDatabase]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
    yield database


def captured(config: Config) -> Capture:
    capture = installed(config)
    capture.apply()
    return capture


def examined(config: Config) -> dict[str, Check]:
    return {check.name: check for check in examine(config)}


def test_a_converter_that_turns_null_into_the_default_is_found_out_before_a_byte_is_written(
    stack: Endpoints, source: SourceDatabase
) -> None:
    plain = {"class_name": PLAIN_CLASS_NAME, "settings": stack.converter.settings}
    config = config_for(stack, source, converter=plain)
    captured(config)
    found = examined(config)["canary: NULL"]
    assert found.level is Level.FAIL
    assert "public.plans.diet" in found.found
    assert PLAIN_CLASS_NAME in str(found.fix)
    with pytest.raises(UnprovenValuesError, match="its canary failed") as caught:
        proof.passed(config)
    assert proof.ACCEPT_FLAG in str(caught.value.next_step)


def test_the_shipped_converter_passes_and_types_that_change_are_named_with_their_columns(
    stack: Endpoints, source: SourceDatabase, tmp_path: Path
) -> None:
    config = config_for(stack, source).model_copy(
        update={"destinations": {"here": FileDestination(type="file", path=tmp_path)}}
    )
    capture = captured(config)
    with pytest.raises(UnprovenValuesError, match="no canary has been sent"):
        proof.passed(config)
    found = examined(config)
    assert [check for check in found.values() if check.level is Level.FAIL] == []
    assert found["canary: NULL"].level is Level.OK
    exact = found["canary: types"].found
    for declared in ("text", "numeric(10,2)", "public.mood", "public.seats", "public.pair"):
        assert declared in exact
    assert "public.plans.breaks" in found["canary: interval[]"].found
    assert "public.plans.starts" in found["canary: time with time zone"].found
    assert "text[]" not in exact
    # What was proven holds for this configuration, and for no other.
    assert proof.passed(config).passed
    changed = config.source.model_copy(update={"overrides": {"time.precision.mode": "adaptive"}})
    Capture(config.model_copy(update={"source": changed}), []).apply()
    with pytest.raises(UnprovenValuesError):
        proof.passed(config)
    # The canary stands in nobody's way.
    capture.sql("DROP TABLE plans; DROP TYPE mood; DROP TYPE pair; DROP DOMAIN seats")


def test_a_proven_sink_may_start_while_source_and_connect_are_down(
    stack: Endpoints, source: SourceDatabase, tmp_path: Path
) -> None:
    config = config_for(stack, source).model_copy(
        update={"destinations": {"here": FileDestination(type="file", path=tmp_path)}}
    )
    captured(config)
    away = config.source.model_copy(
        update={"dsn": type(config.source.dsn)("host=127.0.0.1 port=1"), "connect_url": "http://127.0.0.1:1"}
    )
    down = config.model_copy(update={"source": away})
    with pytest.raises(SourceError, match="can't be found out"):
        proof.passed(down)
    assert examined(config)["canary: NULL"].level is Level.OK
    assert proof.passed(down).passed


def test_a_canary_that_does_not_arrive_says_how_far_it_came(stack: Endpoints, source: SourceDatabase) -> None:
    config = config_for(stack, source)
    capture = captured(config)
    registration = capture.apply()
    registration.pause()
    with pytest.raises(SourceError, match=r"0 of the canary's \d+ rows arrived") as caught:
        canary.run(config, deadline_s=3)
    assert "connect status" in str(caught.value.next_step)
    registration.connect.resume(registration.name)


def test_a_registry_whose_ids_mean_something_else_now_is_found_out(
    stack: Endpoints, source: SourceDatabase
) -> None:
    config = config_for(stack, source)
    capture = captured(config)
    assert examined(config)["canary: NULL"].level is Level.OK
    assert examined(config)["registry memory"].level is Level.OK
    capture.sql(
        "UPDATE replicator.canary_result SET detail = jsonb_set(detail, '{schemas}', "
        "(SELECT jsonb_object_agg(key, 'another text''s digest') FROM jsonb_each(detail->'schemas')))"
    )
    assert examined(config)["registry memory"].level is Level.FAIL


def test_a_hundred_canaries_leave_one_table_with_few_columns(
    stack: Endpoints, source: SourceDatabase
) -> None:
    config = config_for(stack, source)
    capture = captured(config)
    for _ in range(3):
        assert canary.run(config).passed
    ((columns,),) = capture.sql(
        "SELECT max(attnum) FROM pg_attribute WHERE attrelid = 'replicator.canary'::regclass"
    )
    assert columns < 40
