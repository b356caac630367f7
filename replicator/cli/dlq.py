"""`replicator dlq`: the dead letters of a destination, for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from replicator.cli.context import Context
from replicator.config import Config
from replicator.errors import ConfigError, IntegrityError, RefusedError

if TYPE_CHECKING:
    from replicator.deadletter.box import Box, Case

app = typer.Typer(
    no_args_is_help=True,
    help="Dead letters: what a destination lacks, why, and what became of it.",
)
Destination = Annotated[str, typer.Argument(help="A name under `destinations:` in replicator.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    destination: Destination,
    every: Annotated[bool, typer.Option("--all", help="Settled letters as well.")] = False,
    kind: Annotated[str | None, typer.Option(help="record or range.")] = None,
    topic: Annotated[str | None, typer.Option(help="Of that topic only.")] = None,
    reason: Annotated[str | None, typer.Option(help="not-wire-format, unknown-schema, refused …")] = None,
    state: Annotated[str | None, typer.Option(help="open, escalated or settled.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what DESTINATION lacks: the letters that aren't settled.

    Exit status 5 when some of them can't be read.
    """
    from replicator.deadletter.box import select

    box = _read(ctx, destination)
    cases = list(box.cases.values()) if every or state == "settled" else box.unsettled()
    chosen = select(cases, kind=kind, topic=topic, reason=reason, state=state)
    if as_json:
        document = {
            "topic": box.topic,
            "letters": [_as_json(case) for case in chosen],
            "unreadable": [error.message for error in box.unreadable],
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        _print(box, chosen)
    if box.unreadable:
        raise IntegrityError("\n".join(str(error) for error in box.unreadable))


@app.command()
def show(
    ctx: typer.Context,
    destination: Destination,
    letter: Annotated[str, typer.Argument(help="The letter's id, or how it begins.")],
    as_json: AsJson = False,
) -> None:
    """Show one letter with all that it holds, and what became of it."""
    case = _read(ctx, destination).find(letter)
    if as_json:
        typer.echo(json.dumps(_as_json(case), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    found = case.letter
    console.print(f"{found.id}  {case.state}", style="bold")
    console.print(f"{found}, topic id {found.chain.topic_id}", markup=False)
    console.print(f"{found.reason.value}: {found.detail}", markup=False)
    console.print(f"written {_time(found.written_at)}, {case.times} time(s)")
    if found.record is not None:
        record = found.record
        console.print(f"record of {_time(record.timestamp)}")
        console.print(f"  key   {_bytes(record.key)}", markup=False)
        console.print(f"  value {_bytes(record.value)}", markup=False)
        for name, value in record.headers:
            console.print(f"  header {name}: {_bytes(value)}", markup=False)
    for answer in (case.escalation, case.settlement):
        if answer is not None:
            by = f" by {answer.by}" if answer.by else ""
            what = (
                f"{answer.kind.value} {_time(answer.written_at)}{by}: {answer.reason.value}. {answer.detail}"
            )
            console.print(what, markup=False)


@app.command()
def replay(
    ctx: typer.Context,
    destination: Destination,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of letters, or how they begin.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All letters that aren't settled.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try these letters now, whatever their turn: what `replicator replay` does by itself.

    Exit status 4 when some of them stay open.
    """
    from replicator.control.events.letters import LetterEvents
    from replicator.replay import service

    if bool(ids) == every:
        raise ConfigError(
            "Name letters by their ids, or give --all.", next_step="`replicator dlq list` shows the ids"
        )
    settings = _settings(ctx, destination)
    done = service.replay(settings, destination, None if every else ids, listener=LetterEvents(settings))
    if as_json:
        document = {
            "settled": {id_: {"how": o.reason.value, "detail": o.detail} for id_, o in done.closed.items()},
            "open": {id_: {"why": o.detail, "hopeless": o.hopeless} for id_, o in done.stuck.items()},
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for id_, closed in done.closed.items():
            console.print(f"{id_}  settled: {closed.detail}", markup=False)
        for id_, stuck in done.stuck.items():
            console.print(f"{id_}  open: {stuck.detail}", markup=False)
        if not done.closed and not done.stuck:
            console.print("no open letters")
    if done.stuck:
        raise RefusedError(f"{len(done.stuck)} letters stay open.")


@app.command()
def discard(
    ctx: typer.Context,
    destination: Destination,
    ids: Annotated[list[str], typer.Argument(help="Ids of letters, or how they begin.")],
    reason: Annotated[str, typer.Option(help="Why nobody misses it; kept for ever with your name.")],
    as_json: AsJson = False,
) -> None:
    """Settle letters because nobody misses what they are about, a record that was produced by hand, say.

    Restores go on across it from then on. They still count every transaction's rows: if a row was among what
    is discarded, they are refused.
    """
    from replicator.control.events.letters import LetterEvents
    from replicator.replay import service

    if not reason.strip():
        raise ConfigError("--reason is empty; say why nobody misses it.")
    settings = _settings(ctx, destination)
    settled = service.discard(settings, destination, ids, reason.strip(), listener=LetterEvents(settings))
    if as_json:
        document = [{**letter.as_json(), "restores_pass": passed} for letter, passed in settled]
        typer.echo(json.dumps(document, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    for letter, passed in settled:
        console.print(f"{letter.id}  discarded: {letter}", markup=False)
        if not passed:
            console.print(
                "  restores still refuse to go across it: it is in a topic that they prove by", markup=False
            )


def _settings(ctx: typer.Context, destination: str) -> Config:
    context: Context = ctx.obj
    settings = context.load()
    settings.destination(destination)
    return settings


def _read(ctx: typer.Context, destination: str) -> Box:
    from replicator.deadletter.topic import LetterTopic

    return LetterTopic(_settings(ctx, destination), destination).read()


def _print(box: Box, cases: list[Case]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not cases:
        console.print("no such letters" if box.cases else f"no letters in {box.topic}")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "state", "kind", "reason", "where", "written"):
        table.add_column(column)
    for case in cases:
        letter = case.letter
        table.add_row(
            letter.id,
            case.state,
            letter.kind.value,
            letter.reason.value,
            str(letter),
            _time(letter.written_at),
        )
    console.print(table)


def _as_json(case: Case) -> dict[str, Any]:
    return {
        "state": case.state,
        "times": case.times,
        **case.letter.as_json(),
        "settlement": None if case.settlement is None else case.settlement.as_json(),
        "escalation": None if case.escalation is None else case.escalation.as_json(),
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _bytes(data: bytes | None) -> str:
    if data is None:
        return "null"
    shown = repr(data[:200])[1:]
    return shown + (f" … ({len(data)} bytes)" if len(data) > 200 else "")
