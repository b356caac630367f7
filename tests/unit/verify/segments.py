"""Real segments in a store, for whoever wants to damage them."""

from __future__ import annotations

import hashlib
import json

from replicator.segment import container, splice
from replicator.segment.container import Header, LeftOut, Segment
from replicator.segment.name import Chain
from replicator.storage import ObjectStore
from replicator.verify.holdings import MARK
from tests.unit.segment import records

CHAIN = Chain("shop.public.guests", "A" * 22, 0)
OTHER = Chain("shop.public.guests", "A" * 22, 1)


def segment(
    first: int,
    stop: int,
    chain: Chain = CHAIN,
    *,
    offsets: list[int] | range | None = None,
    block: int = 4,
    left_out: tuple[LeftOut, ...] = (),
    name_of: str = "Ada",
) -> Segment:
    """A segment in blocks of `block` records; equal records for equal offsets, wherever it is cut."""
    held = list(range(first, stop) if offsets is None else offsets)
    blocks = []
    for at in range(0, len(held), block):
        part = held[at : at + block]
        columns = records.columns(
            part,
            values=[records.value(offset, name_of) for offset in part],
            timestamps=[1_760_000_000_000 + offset for offset in part],
        )
        [run], poison = splice.splice(columns)
        assert poison is None
        blocks.append((run.count, container.compress(run.encoded)))
    header = Header(
        "cluster",
        chain,
        first,
        stop,
        len(held),
        ("7", records.VALUE_SCHEMA) if held else None,
        (("3", records.KEY_SCHEMA),) if held else (),
        1_760_000_000_000 + held[0] if held else None,
        1_760_000_000_000 + held[-1] if held else None,
        left_out,
    )
    return container.build(header, blocks)


def put(store: ObjectStore, *segments: Segment) -> None:
    """Store them as a sink would."""
    for each in segments:
        store.put(each.name.key(), each.body, sha256=each.sha256)


def put_mark(store: ObjectStore, installation: str = "shop", cluster_id: str = "cluster") -> None:
    """The mark of an installation."""
    facts = {"format": 1, "installation": installation, "cluster_id": cluster_id}
    body = json.dumps(facts).encode()
    store.put(MARK, body, sha256=hashlib.sha256(body).hexdigest())
