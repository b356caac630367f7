"""Settling a letter because nobody misses what it is about.

The destination is told as well: a segment without records covers the range, so that restores may go on across
it. They count each transaction's rows all the same: if a row was in there, the count says so, and the restore
is refused.
"""

from __future__ import annotations

import time

from replicator.deadletter.letter import Kind, Letter, Reason
from replicator.deadletter.topic import LetterTopic
from replicator.replay import stored
from replicator.segment import container
from replicator.segment.container import LeftOut
from replicator.storage import ObjectStore

_PROOFS = ("transaction", "notification", "replicator.ddl_log", "replicator.sequence_log")
"""Topics that a restore proves by, or builds from: what is missing there, no count tells."""


def discard(
    letter: Letter,
    reason: str,
    by: str,
    letters: LetterTopic,
    store: ObjectStore,
    installation: str,
    cluster_id: str,
) -> tuple[Letter, bool]:
    """The settlement, and whether restores may pass over the letter's range now.

    `StorageError` or `KafkaError` as they come; doing it again is harmless.
    """
    passed = letter.chain.topic.removeprefix(f"{installation}.") not in _PROOFS
    if passed:
        for first, next_ in stored.lacking(store, letter.chain, letter.first, letter.next):
            header = container.Header(
                cluster_id=cluster_id,
                chain=letter.chain,
                first=first,
                next=next_,
                count=0,
                value_schema=None,
                discarded=(LeftOut(first, next_, reason),),
            )
            built = container.build(header, [])
            store.put(built.name.key(), built.body, sha256=built.sha256)
    now_ms = time.time_ns() // 1_000_000
    settlement = letter.answered(Kind.SETTLEMENT, Reason.DISCARDED, reason, now_ms, by)
    letters.write([settlement])
    return settlement, passed
