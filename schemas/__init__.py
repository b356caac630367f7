"""Avro schemas of the replicator's own records."""
