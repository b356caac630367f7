"""`replicator repair`: a destination made whole again from others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from replicator.cli.bars import SegmentBar
from replicator.cli.verify import committed_ends, open_letters
from replicator.errors import ConfigError, IntegrityError

if TYPE_CHECKING:
    from replicator.cli.context import Context
    from replicator.repair import RepairReport
    from replicator.verify import Finding


def repair(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="The destination to mend.")],
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="A destination to copy from; again for more, the best first."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Look for damage in every byte first, as `verify --deep` does.")
    ] = False,
    findings: Annotated[
        Path | None,
        typer.Option(help="What `verify --json` printed, instead of verifying again."),
    ] = None,
    committed: Annotated[
        bool, typer.Option("--committed", help="Ask Kafka what was committed: all of that has to be here.")
    ] = False,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="Also copy what is behind the ends of its chains (its sink would)."),
    ] = False,
    classes: Annotated[
        bool, typer.Option("--classes", help="Also write again what lies in a wrong storage class.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; touch nothing.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Segments at a time.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    """Copy what a destination lacks, and replace what is damaged in it, from other destinations.

    Each segment is verified on its way. A damaged one is kept below `v1/damaged/`; nothing is ever deleted
    before what takes its place is durable. It may be ended and called again at any time.

    Exit status 0: whole; 5: some of it is in no source.
    """
    from replicator.points import beginnings
    from replicator.repair import run
    from replicator.verify import Depth, Kind, Options
    from replicator.verify import run as verify

    context: Context = ctx.obj
    config = context.load()
    config.destination(destination)
    if not sources:
        raise ConfigError("--from is missing: the destination, or several, to copy from.")
    if findings is not None and (deep or committed):
        raise ConfigError("--findings says what is wrong; --deep and --committed look for it. Choose one.")
    if findings is not None:
        found = read_findings(findings, destination)
    else:
        depth = Depth.BYTES if deep else Depth.NAMES
        expected = committed_ends(config, destination) if committed else None
        letters = open_letters(config, destination) if committed else None
        with SegmentBar("verifying", by_size=deep) as bars:
            found = verify(
                config,
                destination,
                Options(depth),
                expected=expected,
                letters=letters,
                begins=beginnings.of_destination(config, destination),
                progress=bars,
            ).findings
    if not classes:
        found = [each for each in found if each.kind is not Kind.WRONG_CLASS]
    with SegmentBar("repairing", by_size=True) as bars:
        report = run(
            config,
            destination,
            sources,
            found,
            complete=complete,
            dry_run=dry_run,
            threads=threads,
            progress=bars,
        )
    typer.echo(json.dumps(report.as_json(), indent=2)) if as_json else _print(report)
    if not report.whole:
        raise typer.Exit(IntegrityError.exit_code)


def read_findings(path: Path, destination: str) -> list[Finding]:
    """The findings in a report of `verify --json`; `ConfigError` if it isn't one of this destination."""
    from replicator.verify import Finding

    try:
        report = json.loads(path.read_text())
        if report["destination"] != destination:
            raise ConfigError(f"{path} is the report of {report['destination']!r}, not of {destination!r}.")
        return [Finding.from_json(each) for each in report["findings"]]
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{path} is no report of a verification.",
            next_step=f"make one: replicator verify {destination} --deep --json > {path}",
        ) from None


def _print(report: RepairReport) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if report.dry_run:
        for step in report.steps:
            console.print(step)
        console.print(
            f"{len(report.steps):,} steps, {report.size / 1e6:,.1f} MB to write; nothing was touched"
        )
    else:
        console.print(
            f"{report.destination}: {report.copied:,} segments copied, {report.replaced:,} replaced, "
            f"{report.rewritten:,} written again, {report.removed:,} taken out, {report.others:,} other "
            f"objects; {report.size / 1e6:,.1f} MB in {report.seconds:.1f} s"
        )
        for source, count in sorted(report.by_source.items()):
            console.print(f"  {count:,} segments from {source}")
        if report.sound:
            console.print(f"  {report.sound:,} were sound when they were looked at again")
    for damaged in report.damaged_sources:
        console.print(f"damaged source: {damaged}")
    for failed in report.failed:
        console.print(f"failed: {failed}")
    for lost in report.lost:
        console.print(f"lost: {lost}")
    if not report.whole:
        console.print("NOT WHOLE  next: name another source with --from, or replay the ranges from Kafka")
    elif not report.dry_run:
        console.print("whole")
