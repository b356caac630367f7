"""Yesterday's guest list of a wedding, read from a bucket without a database.

python examples/guest_list.py s3://wedding-changes 2026-11-21T18:00:00+01:00 4711
"""

from __future__ import annotations

import sys

import pyarrow.compute as pc

import replicator


def main(source: str, moment: str, wedding: int) -> None:
    """Print the wedding's guests as they were at the moment, and how many there are of each diet."""
    with replicator.open_catalog(source) as catalog:
        then = catalog.at(moment)
        guests = then.table("guests").filter(pc.field("wedding_id") == wedding)
    print(f"{guests.num_rows} guests after {then.cut}")
    for name in sorted(guests["name"].to_pylist()):
        print(f"  {name}")
    for row in guests.group_by("diet").aggregate([("diet", "count")]).sort_by("diet").to_pylist():
        print(f"{row['diet'] or 'not asked'}: {row['diet_count']}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
