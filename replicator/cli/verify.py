"""`replicator verify`: whether a destination holds what it should, whole and unaltered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from replicator.cli.bars import SegmentBar
from replicator.errors import ConfigError, IntegrityError

if TYPE_CHECKING:
    from replicator.cli.context import Context
    from replicator.config import Config
    from replicator.segment.name import Chain
    from replicator.segment.ranges import Ranges
    from replicator.verify import Report

_EXIT_DAMAGED = IntegrityError.exit_code
"""So many findings are printed one by one; all of them are in --json."""


def verify(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="The destination's name in the configuration.")],
    deep: Annotated[bool, typer.Option("--deep", help="Read and hash every byte.")] = False,
    records: Annotated[
        bool, typer.Option("--records", help="Decode every record too; includes --deep.")
    ] = False,
    sample: Annotated[
        str | None, typer.Option(help="Read only so many per cent of the segments, e.g. 5%.")
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Which sample: today's date by default, so each day has another.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="A file by which a run that was ended goes on where it was.")
    ] = None,
    committed: Annotated[
        bool,
        typer.Option("--committed", help="Ask Kafka what was committed and which letters are open."),
    ] = False,
    threads: Annotated[
        int, typer.Option(min=0, max=256, help="Segments at a time; 0: two for each CPU.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    """Look whether a destination's chains have holes and its segments are what their names say.

    Without an option it reads the listing and asks the store for each object's checksum; of a file in a
    directory it reads the two ends. That finds what is missing, cut short or replaced; --deep finds every
    altered bit.

    Exit status 0: sound; 5: damaged, `replicator repair` mends it from another destination; 6: the
    destination didn't answer.
    """
    from replicator.points import beginnings
    from replicator.verify import Depth, Options, run

    context: Context = ctx.obj
    config = context.load()
    depth = Depth.RECORDS if records else Depth.BYTES if deep else Depth.NAMES
    if sample is not None and depth is Depth.NAMES:
        raise ConfigError("--sample says how much to read, and without --deep nothing is read.")
    options = Options(depth, _per_cent(sample), seed or "", threads, state)
    expected = committed_ends(config, destination) if committed else None
    letters = open_letters(config, destination) if committed else None
    with SegmentBar("verifying", by_size=depth is not Depth.NAMES) as bars:
        try:
            report = run(
                config,
                destination,
                options,
                expected=expected,
                letters=letters,
                begins=beginnings.of_destination(config, destination),
                progress=bars,
            )
        except KeyboardInterrupt:
            if state is not None:
                bars.say(f"ended; the same call goes on where it was ({state})")
            raise
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        _print(report)
    if report.damaged:
        raise typer.Exit(_EXIT_DAMAGED)


def committed_ends(config: Config, destination: str) -> dict[Chain, int]:
    """The offsets below which everything was committed as durable in the destination, by chain.

    `KafkaError` when the brokers don't answer.
    """
    from replicator.segment.name import Chain
    from replicator.writer.kafka.group import Cluster, group_of, topics_of

    cluster = Cluster(config.kafka, "replicator-verify")
    group = group_of(config.installation, destination)
    commits = cluster.commits(group, cluster.partitions(topics_of(config.installation)))
    return {
        Chain(topic, found.topic_id, partition): found.offset
        for (topic, partition), found in commits.items()
        if found.topic_id is not None
    }


def open_letters(config: Config, destination: str) -> dict[Chain, Ranges]:
    """The ranges of the destination's dead letters that aren't settled; ask after `committed_ends`.

    Whoever commits past a record has written its letter before. `KafkaError` as the brokers raise it.
    """
    from replicator.deadletter.topic import LetterTopic

    return LetterTopic(config, destination).read().open_ranges()


def _per_cent(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 < value <= 100:
        raise ConfigError(f"--sample {text!r} is not a part of a hundred, like 5%.")
    return value


def _print(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{report.destination}: {report.chains:,} chains, {report.segments:,} segments, "
        f"{report.size / 1e6:,.1f} MB"
    )
    looked = f"looked at {report.inspected:,} segments by {report.depth}"
    if report.resumed:
        looked += f" ({report.resumed:,} were sound by the state file)"
    if report.sample is not None:
        looked += f", {report.sample:g} % of them by their bytes"
    console.print(
        f"{looked}: {report.read / 1e6:,.1f} MB read in {report.seconds:.1f} s "
        f"({report.rate / 1e6:,.0f} MB/s)"
    )
    for gap in report.left_out:
        console.print(
            f"left out: {gap['key']} offsets {gap['first']} to {gap['next'] - 1}: {gap['reason']}",
            markup=False,
        )
    for kind, count in report.counts.items():
        if count:
            console.print(f"  {kind.replace('_', ' ')}: {count:,}")
    if report.damaged:
        console.print(
            f"[bold red]DAMAGED[/bold red]  next: replicator repair {report.destination} --from ANOTHER "
            "--dry-run"
        )
    else:
        console.print("sound")
