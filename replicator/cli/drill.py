"""`replicator drill`: the disaster rehearsed, and what rehearsals have shown so far."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from replicator.cli.bars import TableBars
from replicator.cli.context import Context
from replicator.errors import ConfigError, IntegrityError

if TYPE_CHECKING:
    from replicator.config import Config
    from replicator.drill import Result, Wish

_EXIT_DIFFERENT = IntegrityError.exit_code
_COLORS = {"equal": "green", "proven": "green", "different": "bold red", "refused": "bold red"}


def drill(
    ctx: typer.Context,
    to_time: Annotated[
        str | None, typer.Option(help="Rehearse this earlier moment; proven by counting alone.")
    ] = None,
    to_lsn: Annotated[str | None, typer.Option(help="The same, by LSN.")] = None,
    held: Annotated[
        Path | None,
        typer.Option(help="Rehearse the moment that `compare --save FILE` recorded, and compare with it."),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="A destination to read; again for more, the best first. Default: all."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Keep the result in the destinations' history.")
    ] = True,
    history: Annotated[
        bool, typer.Option("--history", help="Show former drills and their trend; hold none.")
    ] = False,
    days: Annotated[float, typer.Option(min=0, help="Of so many days, with --history.")] = 90.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    """Rehearse the disaster: restore into a scratch PostgreSQL, and compare every table with the source.

    By default the moment is a consistent point of now: the source is read there (one scan of every table, two
    with `drill.name_keys`) and goes on working; when the destinations hold that moment it is restored, and
    every row, definition and sequence compared. What differs is named by table and key. The scratch server is
    made from this machine's own PostgreSQL programs (or a database is made on `drill.dsn`; never on the
    source's server), and nothing of it is left.

    Told are the RPO (how old the newest moment was that could have been restored when the drill began) and
    the RTO (how long the restore took). The result is kept under `v1/drills/` in every destination that was
    read.

    Exit status 0: restored and equal, or proven; 5: different, or contradicting itself; 4: refused; 1: the
    rehearsal itself broke.
    """
    context: Context = ctx.obj
    config = context.load()
    names = sources or list(config.destinations)
    for name in names:
        config.destination(name)
    if history:
        _show_history(config, names, days, as_json)
        return
    if not names:
        raise ConfigError("No destination is configured to restore from.")
    wish = _wish(to_time, to_lsn, held)
    from replicator import drill as drills

    # Ended politely, a drill still removes its scratch server: as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    rehearsal = None
    with TableBars() as bars:
        rehearsal = drills.Drill(config, names, bars)
        result = rehearsal.run(wish)
    warnings = drills.keep(config, names, result) if keep else []
    if as_json:
        typer.echo(json.dumps({**result.fields(), "passed": result.passed, "warnings": warnings}, indent=2))
    else:
        _print(result, warnings)
    if rehearsal.error is not None:
        if as_json:
            raise typer.Exit(rehearsal.error.exit_code)
        raise rehearsal.error
    if not result.passed:
        raise typer.Exit(_EXIT_DIFFERENT)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _wish(to_time: str | None, to_lsn: str | None, held: Path | None) -> Wish:
    from replicator.compare import record
    from replicator.drill import Held, Wish
    from replicator.restore.moment import cut

    given = [each for each in (to_time, to_lsn, held) if each is not None]
    if len(given) > 1:
        raise ConfigError("Name one moment: --to-time, --to-lsn or --held; none for a point of now.")
    if held is not None:
        return Wish(held=Held.recorded(record.load(held)))
    return Wish(cut.parse(to_time, to_lsn, None, False)) if given else Wish()


def _print(result: Result, warnings: list[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[{_COLORS.get(result.state, 'yellow')}]{result.state}[/]: {result.asked}, ", end="")
    console.print(f"{result.rows:,} rows in {len(result.tables)} tables", markup=False)
    if result.cut is not None:
        console.print(f"  as of {result.cut['time']}, transaction {result.cut['xid']}")
    if result.rto_s is not None:
        rpo = "" if result.rpo_s is None else f"RPO {result.rpo_s:.1f} s, "
        console.print(
            f"  {rpo}RTO {result.rto_s:.1f} s ({result.size / 2**20:,.1f} MiB read; {result.scratch})",
            markup=False,
        )
    for line in (*result.different, *result.keys):
        console.print(f"  {line}", markup=False)
    for name in result.not_compared:
        console.print(f"  not captured, so not compared: {name}", markup=False)
    for words in warnings:
        console.print(f"  [yellow]warning[/]: {words}")


def _show_history(config: Config, names: list[str], days: float, as_json: bool) -> None:
    from replicator import drill as drills

    found = drills.read(config, names, days, time.time())
    trend = drills.trend(found.drills)
    if as_json:
        told = [{**each.fields(), "passed": each.passed} for each in found.drills]
        typer.echo(json.dumps({"drills": told, "trend": str(trend), "warnings": found.warnings}, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    table = Table("ended", "result", "rows", "RPO", "RTO", "moment", box=None)
    for each in found.drills:
        at = datetime.fromtimestamp(each.ended_ms / 1000, UTC)
        table.add_row(
            f"{at:%Y-%m-%d %H:%M:%S} UTC",
            f"[{_COLORS.get(each.state, 'yellow')}]{each.state}[/]",
            f"{each.rows:,}",
            "" if each.rpo_s is None else f"{each.rpo_s:.1f} s",
            "" if each.rto_s is None else f"{each.rto_s:.1f} s",
            each.asked,
        )
    console.print(table)
    console.print(str(trend), markup=False)
    for each in found.drills:
        if not each.passed:
            console.print(f"  {each.key()}: {each.verdict}", markup=False)
    for words in found.warnings:
        console.print("  [yellow]warning[/]:", end=" ")
        console.print(words, markup=False)
