"""What a restore of one owner's rows goes by, and where one into topics goes."""

from __future__ import annotations

from pydantic import Field

from replicator.config.kafka import Kafka, Registry
from replicator.config.section import Section


class Restore(Section):
    """Whose rows `restore --where-wedding` takes: those of one row of a table, and what belongs to it. And
    the Kafka that `restore --to-kafka` writes to, where it isn't the one that is captured from.
    """

    root_table: str = Field("public.weddings", description="schema.table whose rows are the owners")
    root_column: str = Field(
        "wedding_id", description="column by which other tables say to which row of it they belong"
    )
    kafka: Kafka | None = Field(None, description="for restore --to-kafka; none is `kafka:` itself")
    registry: Registry | None = Field(None, description="for restore --to-kafka; none is `registry:` itself")
