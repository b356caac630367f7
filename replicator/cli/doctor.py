"""`replicator doctor`: everything that an exact capture rests on, looked at and tried."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    ctx: typer.Context,
    destinations: Annotated[list[str] | None, typer.Argument(help="To probe; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
    canary: Annotated[bool, typer.Option(help="Send values through the connector and compare them.")] = True,
    canary_deadline: Annotated[float, typer.Option(help="Seconds until the canary must arrive.")] = 60.0,
) -> None:
    """Check source, Connect, Kafka, registry and destinations, and prove the way between them with a canary.

    Exit status 3 when a check fails; a warning alone is status 0.
    """
    from replicator.source.checks.check import Check, Level
    from replicator.source.doctor import examine

    console = Console(highlight=False, soft_wrap=True)
    found: list[Check] = []
    for check in examine(
        ctx.obj.load(), destinations or [], with_canary=canary, canary_deadline_s=canary_deadline
    ):
        found.append(check)
        if not as_json:
            console.print(_line(check))
    failed = sum(check.level is Level.FAIL for check in found)
    if as_json:
        lines = [{"check": c.name, "level": c.level.value, "found": c.found, "fix": c.fix} for c in found]
        answer = {"passed": not failed, "checks": lines, "destinations": _surveys(found)}
        typer.echo(json.dumps(answer, indent=2))
    else:
        if surveys := _surveys(found):
            console.print(_table(surveys))
        warned = sum(check.level is Level.WARN for check in found)
        console.print(f"{len(found)} checks, {warned} warnings, {failed} failures")
    if failed:
        raise typer.Exit(3)


def _surveys(found: list[Any]) -> dict[str, Any]:
    return {c.name.removeprefix("destination "): dict(c.details) for c in found if c.details is not None}


_ROWS = {
    "create_if_absent": "create if absent",
    "refuses_wrong_checksum": "refuses a wrong checksum",
    "checksums": "checksums that it computes",
    "ranges": "ranges",
    "lists_after": "lists from a key on",
    "lists_sha256": "listing tells SHA-256",
    "storage_class": "storage class, as stored",
    "encryption": "encryption, as stored",
    "versioning": "versioning",
    "object_lock": "object lock",
    "location": "location",
}


def _table(surveys: dict[str, Any]) -> Table:
    table = Table("what it does", *surveys, title="destinations, by trying", title_justify="left")
    for key, label in _ROWS.items():
        table.add_row(label, *(_word(seen[key]) for seen in surveys.values()))
    for key in ("put_s", "get_s", "list_s", "delete_s"):
        row = (f"{seen[key] * 1000:.0f} ms" for seen in surveys.values())
        table.add_row(f"{key.removesuffix('_s')} of 4 KiB", *row)
    return table


def _word(value: object) -> str:
    match value:
        case None:
            return "?"
        case True:
            return "yes"
        case False:
            return "no"
        case tuple() | list():
            return ", ".join(map(str, value)) or "none"
    return str(value)


def _line(check: object) -> Text:
    from replicator.source.checks.check import Check

    assert isinstance(check, Check)
    text = Text(f"{check.level.value:<4}", style=_STYLES[check.level.value])
    text.append(f"  {check.name}: {check.found}", style="default")
    if check.fix:
        text.append(f"\n      fix: {check.fix}", style="dim")
    return text
