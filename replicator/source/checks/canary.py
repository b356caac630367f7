"""The canary as lines: NULL first, then each type."""

from __future__ import annotations

from collections.abc import Iterator

from replicator.config import Config
from replicator.source import canary
from replicator.source.checks.check import Check, fail, listed, ok, warn
from replicator.source.checks.server import CLOCK_WARN_S
from replicator.source.connect_api import Connect
from replicator.source.connector import connector_name
from replicator.source.proof import record

STREAM_TYPES_JAR = "0-replicator-stream-types.jar"
COMPANION = (
    "have the connector carry them exactly (source.exact_values) and take a new snapshot; or accept that "
    "restores refuse or don't promise them"
)


def checks(config: Config, deadline_s: float) -> Iterator[Check]:
    """Send the canary, record its outcome, and tell it. `SourceError` when it doesn't come through."""
    connector = Connect.of(config).config(connector_name(config))
    if connector is None:
        yield fail("canary", "there is no connector to send it through", "`replicator connect apply`")
        return
    verdict = canary.run(config, deadline_s=deadline_s)
    for problem in record(config, connector, verdict):
        yield warn("canary", problem, "run doctor again when that destination is back")
    yield from lines(verdict, connector.get("value.converter", "?"))


def lines(verdict: canary.Verdict, converter: str) -> Iterator[Check]:
    """The outcome, most important first. Pure."""
    if verdict.passed:
        yield ok(
            "canary: NULL",
            f"stays NULL in columns with a DEFAULT ({verdict.seconds:.1f} s there and back)",
        )
    else:
        yield fail(
            "canary: NULL",
            "NULL becomes the column's DEFAULT on the way, without any error: "
            + listed(list(verdict.changed_nulls)),
            f"{converter} doesn't keep NULL: take the null-keeping converter that is shipped, or Confluent's "
            "with ignore.default.for.nullables=true (source.converter), and a new snapshot",
        )
    yield from _in_time(verdict)
    exact = [kind.declared for kind in verdict.types if kind.passes and not kind.rare]
    yield ok("canary: types", f"{len(exact)} arrive exactly: {listed(exact, 60)}")
    for kind in verdict.types:
        places = listed(list(kind.columns))
        if kind.untried:
            yield warn(
                f"canary: {kind.declared}",
                f"no value to try is known; not proven for {places}",
                "the comparison of a restore with the source is its only proof",
            )
        elif kind.ordinary:
            yield warn(f"canary: {kind.declared}", f"{places}: {listed(list(kind.ordinary), 1)}", COMPANION)
        elif kind.rare:
            yield warn(
                f"canary: {kind.declared}", f"{places}: but for {listed(list(kind.rare), 3)}", COMPANION
            )
    if abs(verdict.worker_clock_ahead_s) > CLOCK_WARN_S:
        yield warn(
            "clock of Connect",
            f"the worker is {verdict.worker_clock_ahead_s:+.1f} s off this machine",
            "run NTP on both: the RPO is measured with both",
        )


def _in_time(verdict: canary.Verdict) -> Iterator[Check]:
    """Whether rows are read as what they were, whatever was done to their table since."""
    put = (
        f"put {STREAM_TYPES_JAR} before Debezium's own jars on every Connect worker (the shipped image "
        "has it) and restart them"
    )
    late = "in the rows' own transaction, or while the connector lags, may"
    if verdict.read_as_later_type:
        yield warn(
            "canary: ALTER TYPE",
            "a row's values are read as the type that its column was given later: an ALTER TYPE "
            f"{late} stop the connector for good, or have restores refuse the table",
            put,
        )
    else:
        yield ok("canary: ALTER TYPE", "values are read as the type that they were written as")
    if verdict.read_as_required:
        yield warn(
            "canary: SET NOT NULL",
            "a NULL is read as the type's empty value where its column was made NOT NULL later: SET NOT NULL "
            f"{late} stop the connector for good, or have restores refuse the table",
            put,
        )
    else:
        yield ok("canary: SET NOT NULL", "NULL stays NULL where its column is made NOT NULL later")
