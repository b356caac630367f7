"""Bases: what a destination's chains come to at a cut, so that a restore needn't begin at the beginning."""

from replicator.bases.manifest import (
    BaseChain,
    BaseMark,
    BaseSegment,
    BaseTable,
    Manifest,
    SequenceValue,
)

__all__ = ["BaseChain", "BaseMark", "BaseSegment", "BaseTable", "Manifest", "SequenceValue"]
