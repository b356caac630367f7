"""The destinations' side of `replicator compare`: which ranges and which records two of them don't share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from replicator.cli.bars import SegmentBar
from replicator.errors import IntegrityError

if TYPE_CHECKING:
    from replicator.config import Config
    from replicator.verify.pair import PairReport

_TOLD = 50


def compare_destinations(config: Config, first: str, second: str, *, deep: bool, as_json: bool) -> None:
    """Print how two destinations differ; `typer.Exit` with status 5 when they do."""
    from replicator.verify import pair

    with SegmentBar("comparing", by_size=True) as bars:
        report = pair.run(config, first, second, deep=deep, progress=bars)
    typer.echo(json.dumps(report.as_json(), indent=2)) if as_json else _print(report)
    if not report.equal:
        raise typer.Exit(IntegrityError.exit_code)


def _print(report: PairReport) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"{report.first} and {report.second}: {report.chains:,} chains; {report.same_name:,} offsets in "
        f"segments of the same name, {report.cut_differently:,} cut differently"
    )
    for name in (report.first, report.second):
        behind = report.behind(name)
        if behind:
            chains = len({chain for who, chain, _ in report.lag if who == name})
            console.print(f"{name} is behind by {behind:,} offsets in {chains:,} chains")
    for each in report.differences[:_TOLD]:
        console.print(str(each))
    if len(report.differences) > _TOLD:
        console.print(f"and {len(report.differences) - _TOLD:,} more differences; --json has them all")
    if report.cut_differently and not report.deep:
        console.print("what was cut differently wasn't read; --deep compares its records")
    if report.deep:
        console.print(f"{report.size / 1e6:,.1f} MB of records compared in {report.seconds:.1f} s")
    console.print("equal" if report.equal else "DIFFERENT")
