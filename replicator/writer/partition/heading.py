"""What a sealed segment says of itself."""

from __future__ import annotations

from collections.abc import Callable

from replicator.segment import container
from replicator.writer.partition.effects import SealedSegment


def heading(segment: SealedSegment, cluster_id: str, text: Callable[[str], str | None]) -> container.Header:
    """The segment's header; `text` gives a schema's text by its name, and knows all that it needs."""

    def known(schema: str) -> tuple[str, str]:
        found = text(schema)
        assert found is not None, f"schema {schema} was known when the segment was to be built"
        return schema, found

    return container.Header(
        cluster_id=cluster_id,
        chain=segment.chain,
        first=segment.first,
        next=segment.next,
        count=segment.count,
        value_schema=known(segment.value_schema[0]) if segment.value_schema else None,
        key_schemas=tuple(known(schema) for schema in segment.key_schemas),
        first_timestamp=segment.min_timestamp,
        last_timestamp=segment.max_timestamp,
        left_out=tuple(segment.left_out),
    )
