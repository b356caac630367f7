"""What pg_dump writes of a schema, to be compared with what it writes of another."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

from replicator.source import dump


def schema_text(dsn: str, pg_dump: Path, snapshot: str | None = None) -> Counter[str]:
    """What pg_dump writes, entry by entry: their order may follow from what no longer is."""
    words = [str(pg_dump), "--schema-only", "--no-publications", f"--dbname={dsn}"]
    words += [f"--exclude-schema={name}" for name in ("replicator", "replicator_restore")]
    words += [f"--snapshot={snapshot}"] if snapshot else []
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    kept = [line for line in dump.without_ours(done.stdout).split("\n") if "REPLICA IDENTITY" not in line]
    entries = "\n".join(kept).split("--\n-- Name: ")
    return Counter(" ".join(entry.split()) for entry in entries[1:])


def difference(source: Counter[str], target: Counter[str]) -> list[str]:
    """The first few entries that only one of both has."""
    lacking = [f"pg_dump lacks {each[:400]}" for each in (source - target)]
    return (lacking + [f"pg_dump has {each[:400]}" for each in (target - source)])[:6]
