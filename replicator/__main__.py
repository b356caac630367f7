"""`python -m replicator` is `replicator`."""

from replicator.cli.main import run

run()
