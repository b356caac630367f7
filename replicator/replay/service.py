"""The replay of one destination's dead letters as a process, and as one pass for people."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer

import structlog

from replicator import config, signals
from replicator.config import Config
from replicator.deadletter.box import Box, Case
from replicator.deadletter.letter import Letter
from replicator.deadletter.topic import LetterTopic
from replicator.errors import ConfigError, ReplicatorError
from replicator.replay import discarding
from replicator.replay.closing import Closer
from replicator.replay.kafka_range import RangeReader
from replicator.replay.listener import NOBODY, Listener
from replicator.replay.office import Office, Pass
from replicator.replay.texts import Texts
from replicator.storage import ObjectStore, RetryPolicy, open_store
from replicator.telemetry import ReplayMetrics
from replicator.writer.destination import fingerprint, mark
from replicator.writer.kafka.group import Cluster, group_of, topics_of
from replicator.writer.process import failpoints, health
from replicator.writer.process.health import Progress
from replicator.writer.process.pool import Supervisor
from replicator.writer.schemas.registry import Registry

_log = structlog.get_logger()
_STALLED_S = 600.0
"""One pass may copy much; without an end for so long, it hangs."""


def run(settings: Config, name: str, *, once: bool = False, listener: Listener = NOBODY) -> Pass:
    """Close the destination's letters until SIGTERM or SIGINT; with `once`, in one pass. Gives the last pass.

    `ConfigError` when it can't begin; with `once` also `KafkaError` and `StorageError`, which are waited for
    otherwise.
    """
    failpoints.arm()
    ending = signals.ending()
    metrics, supervisor = ReplayMetrics(), Supervisor()
    readiness = Progress("replay", "no pass ended", _STALLED_S)
    server = None if once else _serve(readiness, metrics, supervisor, settings.replay)
    try:
        while True:
            last = Pass()
            try:
                with _opened(settings, name, metrics, listener) as desk:
                    while True:
                        last = _pass(desk, metrics, readiness)
                        if once or ending.wait(settings.replay.poll_s):
                            return last
            except ConfigError:
                raise
            except ReplicatorError as error:
                if once:
                    raise
                readiness.trouble("replay", str(error))
                _log.error("letters can't be worked now", error=str(error))
                if ending.wait(settings.replay.poll_s):
                    return last
    finally:
        if server is not None:
            server.shutdown()


def replay(
    settings: Config, name: str, only: Collection[str] | None = None, *, listener: Listener = NOBODY
) -> Pass:
    """Try the letters of these ids now, or all that are open; what became of each."""
    failpoints.arm()
    with _opened(settings, name, ReplayMetrics(), listener) as desk:
        box = desk.letters.read()
        chosen = (
            [case.letter.id for case in box.unsettled()]
            if only is None
            else [box.find(each).letter.id for each in only]
        )
        return desk.office.work(box, chosen)


def discard(
    settings: Config, name: str, ids: Collection[str], reason: str, *, listener: Listener = NOBODY
) -> list[tuple[Letter, bool]]:
    """Settle the letters of these ids: nobody misses what they are about. Gives each settlement, and whether
    restores may pass over its range now. `ConfigError` for an id that isn't there, or is settled."""
    with _opened(settings, name, ReplayMetrics(), listener) as desk:
        box = desk.letters.read()
        cases = [box.find(each) for each in ids]
        for case in cases:
            if case.settlement is not None:
                raise ConfigError(
                    f"Letter {case.letter.id} is settled already ({case.settlement.reason.value})."
                )
        done = [
            discarding.discard(
                case.letter, reason, _me(), desk.letters, desk.store, settings.installation, desk.cluster_id
            )
            for case in cases
        ]
        if _were_the_last(cases, box):
            listener.none_left(name, _me())
        return done


def _were_the_last(settled: Collection[Case], box: Box) -> bool:
    """Whether one of the cases needed a person, and no other one does."""
    ids = {case.letter.id for case in settled}
    others = [case for case in box.unsettled() if case.letter.id not in ids]
    return any(case.escalation for case in settled) and not any(case.escalation for case in others)


def _pass(desk: _Desk, metrics: ReplayMetrics, readiness: Progress) -> Pass:
    box = desk.letters.read()
    metrics.unreadable.set(len(box.unreadable))
    readiness.trouble("letters", "\n".join(map(str, box.unreadable)) or None)
    done = desk.office.work(box)
    readiness.trouble("replay", None)
    readiness.progressed()
    if done.closed or done.stuck:
        _log.info("pass", settled=len(done.closed), still_open=len(done.stuck), waiting=done.waiting)
    return done


@dataclass(frozen=True, slots=True)
class _Desk:
    """What it takes to work the letters of one destination."""

    letters: LetterTopic
    office: Office
    store: ObjectStore
    cluster_id: str


@contextmanager
def _opened(settings: Config, name: str, metrics: ReplayMetrics, listener: Listener) -> Iterator[_Desk]:
    policy = RetryPolicy(deadline_s=20.0)
    with ExitStack() as stack:
        stores: dict[str, ObjectStore] = {}
        for each in [name, *(other for other in settings.destinations if other != name)]:
            stores[each] = open_store(settings.destination(each), policy)
            stack.callback(stores[each].close)
        store = stores.pop(name)
        cluster = Cluster(settings.kafka, f"replicator-replay.{socket.gethostname()}.{os.getpid()}")
        cluster_id = cluster.cluster_id()
        # Beside a sink that only begins there is no mark yet, and no letter: that is no destination emptied.
        others = settings.destinations
        group_id = group_of(settings.installation, name)
        mine = fingerprint(settings.installation, settings.destination(name))
        mark(
            store,
            settings.installation,
            cluster_id,
            lambda: cluster.has_committed(group_id, mine, topics_of(settings.installation)),
            name=name,
            others=others,
        )
        letters = LetterTopic(settings, name)
        closer = Closer(
            store,
            stores,
            RangeReader(settings.kafka, cluster),
            Texts(Registry(settings.registry), store),
            letters,
            cluster_id,
        )
        after_s = settings.replay.escalate_after_s
        office = Office(letters, closer, metrics, escalate_after_s=after_s, by=_me(), listener=listener)
        yield _Desk(letters, office, store, cluster_id)


def _me() -> str:
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _serve(
    readiness: Progress, metrics: ReplayMetrics, supervisor: Supervisor, settings: config.Replay
) -> ThreadingHTTPServer:
    server = health.serve_for("replay", settings, readiness, metrics, supervisor)
    _log.info("replay", health=health.url_of(server))
    return server
