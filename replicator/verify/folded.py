"""Whether a destination's bases have the segments that their manifests name."""

from __future__ import annotations

from replicator.bases import stored
from replicator.bases.stored import ForgedBaseError
from replicator.storage import ObjectStore
from replicator.verify.findings import Finding, Kind
from replicator.verify.holdings import Holdings


class _Anyone:
    def doubt(self, context: bytes, body: bytes, key_id: str | None, signature: bytes | None) -> None:
        """Who signed is the restores' business; here it is asked what is there."""


def lacking(store: ObjectStore, found: Holdings, destination: str) -> list[Finding]:
    """The manifests that can't be read as one, and the segments that one names and the listing hasn't, or has
    with another size.
    """
    sizes = {held.name.key(): held.size for held in found.folded}
    wrong = []
    for base in stored.list_bases(store).ids:
        try:
            manifest = stored.read(store, base, _Anyone(), destination)
        except ForgedBaseError as error:
            wrong.append(Finding(Kind.ALTERED, error.message, f"v1/bases/{base}.json"))
            continue
        for chain in manifest.chains:
            for segment in chain.segments:
                size = sizes.get(segment.key)
                if size is None:
                    why = "the base's manifest names it; restores that begin with this base are refused"
                    wrong.append(Finding(Kind.MISSING, why, segment.key))
                elif size != segment.size:
                    why = f"it has {size} bytes, the base's manifest says {segment.size}"
                    wrong.append(Finding(Kind.SHORT, why, segment.key))
    return wrong
