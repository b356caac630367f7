"""Kafka Connect: reachable, exactly-once, plugins, and the connector as it should be."""

from __future__ import annotations

from collections.abc import Iterator

from replicator.config import Config
from replicator.source.checks.check import Check, fail, listed, ok, warn
from replicator.source.continuity import CURE
from replicator.source.registration import Registration
from replicator.source.running import shortened, state

MEASURED_DEBEZIUM = "3.7."
"""The release whose values were measured; another one may send them otherwise."""


def checks(config: Config) -> Iterator[Check]:
    """All checks of Connect; `SourceError` when it can't be reached."""
    registration = Registration.open(config)
    root = registration.connect.root()
    yield ok("connect", f"version {root.get('version')} at {registration.connect.url}")
    yield from _plugins(registration)
    invalid = registration.connect.invalid_settings({"name": registration.name, **registration.wanted})
    once = invalid.pop("exactly.once.support", None)
    if once:
        yield fail(
            "exactly once", "; ".join(once), "set exactly.once.source.support=enabled on every Connect worker"
        )
    else:
        yield ok("exactly once", "the workers support it")
    for setting, errors in invalid.items():
        yield fail("configuration", f"{setting}: {'; '.join(errors)}", "correct it in replicator.yaml")
    yield from _connector(registration)


def _plugins(registration: Registration) -> Iterator[Check]:
    found = {plugin["class"]: str(plugin.get("version")) for plugin in registration.connect.plugins()}
    debezium = found.get(registration.wanted["connector.class"])
    if debezium is None:
        yield fail(
            "debezium", "its PostgreSQL connector isn't installed", "put it on the workers' plugin.path"
        )
    elif debezium.startswith(MEASURED_DEBEZIUM):
        yield ok("debezium", debezium)
    else:
        yield warn(
            "debezium",
            f"{debezium}; values were measured with {MEASURED_DEBEZIUM}x",
            "rely on the canary below, and pin the version",
        )
    converter = registration.wanted["value.converter"]
    if converter in found:
        yield ok("converter", converter)
    else:
        yield fail(
            "converter",
            f"{converter} isn't installed",
            "put it on the workers' plugin.path, or set source.converter",
        )


def _connector(registration: Registration) -> Iterator[Check]:
    if registration.running is None:
        yield fail("connector", f"there is no {registration.name}", "`replicator connect apply`")
        return
    lost = registration.hole()
    if lost is not None:
        yield fail("continuity", lost, CURE)
    else:
        yield ok("continuity", "the slot has every change that isn't in Kafka yet")
    now = state(registration.connect.status(registration.name))
    if now.runs:
        yield ok("connector", f"{registration.name}: {now}")
    elif now.failed:
        yield fail("connector", f"{now}\n{shortened(now.trace)}", "`replicator connect restart`")
    else:
        yield fail("connector", f"{registration.name}: {now}", "`replicator connect resume` or `restart`")
    drift = registration.changes()
    if drift:
        yield warn(
            "drift",
            f"{listed([change.setting for change in drift])} differ from what is configured",
            "`replicator connect diff`, then `replicator connect apply`",
        )
    else:
        yield ok("drift", "the running configuration is the configured one")
