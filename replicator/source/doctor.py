"""`replicator doctor`: every check in the order in which a cure for one may cure the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from replicator.config import Config
from replicator.errors import ReplicatorError
from replicator.source.checks import canary, connect, destinations, kafka, registry, server, snapshot, tables
from replicator.source.checks.check import Check, Level, fail

_THE_WAY = frozenset({"source", "connect", "connector", "kafka", "installation"})
"""Checks without which a canary can't arrive."""


def examine(
    config: Config, names: Sequence[str] = (), *, with_canary: bool = True, canary_deadline_s: float = 60.0
) -> Iterator[Check]:
    """All findings, as they are made; `names` are the destinations to probe, all when empty.

    A part that can't be reached is one failed check and doesn't keep the others from being looked at.
    """
    for name in names:
        config.destination(name)
    failed = False
    for check in _parts(config, names):
        failed = failed or (check.level is Level.FAIL and check.name in _THE_WAY)
        yield check
    if with_canary and failed:
        yield fail("canary", "not sent: the way isn't open", "cure what failed above, then run this again")
    elif with_canary:
        yield from _guarded("canary", lambda: canary.checks(config, canary_deadline_s))


def _parts(config: Config, names: Sequence[str]) -> Iterator[Check]:
    yield from _guarded("source", lambda: _database(config))
    yield from _guarded("connect", lambda: connect.checks(config))
    yield from _guarded("kafka", lambda: kafka.checks(config))
    yield from _guarded("registry", lambda: _registry(config))
    yield from _guarded("snapshot", lambda: snapshot.checks(config))
    yield from _guarded("destinations", lambda: destinations.checks(config, names))


def _database(config: Config) -> Iterator[Check]:
    with server.reach(config) as connection:
        yield from server.checks(connection, config)
        yield from tables.checks(connection, config)


def _registry(config: Config) -> Iterator[Check]:
    with server.reach(config) as connection:
        yield from registry.checks(connection, config)


def _guarded(name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from checks()
    except ReplicatorError as error:
        yield fail(name, error.message, error.next_step or "look at its own log")
