"""`python -m demo.load --dsn … --rows 200000`: the schema and a seeded history, into an empty database."""

from __future__ import annotations

import argparse
import sys

from demo import history


def main(arguments: list[str] | None = None) -> int:
    """Load and print how many rows, and how fast."""
    parser = argparse.ArgumentParser(prog="python -m demo.load", description=__doc__)
    parser.add_argument("--dsn", required=True, help="an empty database")
    parser.add_argument("--rows", type=int, default=100_000, help="about how many rows, all tables together")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    loaded = history.build(given.dsn, given.rows, given.seed)
    print(f"{loaded.rows} rows in {loaded.seconds:.1f} s, {loaded.rows / loaded.seconds:.0f} rows/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
