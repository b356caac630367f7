"""Avro's binary encoding read into columns: a writer's schema becomes a program, a compiled loop runs it."""
