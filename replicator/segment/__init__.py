"""The segment: an immutable Avro file of a range of one topic-partition's records (docs/format.md)."""
