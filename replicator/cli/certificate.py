"""`replicator check-certificate`: whether what a restore was made of is still there, as it was."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from replicator.cli.bars import SegmentBar
from replicator.cli.context import Context
from replicator.errors import ConfigError, IntegrityError, RefusedError

if TYPE_CHECKING:
    from replicator.certificate import Certificate, Verdict
    from replicator.config import Config

_EXIT_FALLEN = IntegrityError.exit_code
_TOLD = 20
"""So many troubles are printed one by one; all of them are in --json."""


def check_certificate(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `restore --certificate FILE` wrote.")],
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="A destination to look in; again for more. Default: all of them."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read and hash every byte, instead of asking for checksums.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(help="Also compare this restored database, a DSN, with the certificate's digests."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    """Check a restore's certificate: who signed it, and whether all that it read is still there, unaltered.

    By default each object's size and the checksum that the store keeps are asked for; --deep reads every
    byte. The certificate's signature is checked with the keys under `control:`; its public half is enough.

    Exit status 0: it stands; 5: it was altered or isn't believed, or objects are gone or altered; 4: it is
    another installation's, or of a later format; 6: a destination didn't answer.
    """
    from replicator import certificate as certificates
    from replicator.points import Keys

    context: Context = ctx.obj
    config = context.load()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from None
    except ValueError:
        text = ""  # not even text: `decode` says what that means
    signed = certificates.decode(text, str(file))
    made = signed.certificate
    if made.installation != config.installation:
        raise RefusedError(
            f"{file} certifies a restore of the installation {made.installation!r}; this configuration is "
            f"{config.installation!r}'s.",
            next_step="check --config, or take the certificate of this installation",
        )
    voucher = certificates.believe(signed, Keys(config.control), str(file))
    if target is not None and not made.digests:
        raise ConfigError(
            f"{file} has no digests of tables, so no database can be compared with it.",
            next_step="restore with --digests, or `replicator compare`",
        )
    with ExitStack() as stack:
        bars = stack.enter_context(SegmentBar("checking", by_size=True))
        verdict = _look(stack, config, made, sources, deep, bars)
    differing = _differing(made, target) if target is not None else []
    if as_json:
        told = {
            "signature": voucher,
            "key": signed.key_id,
            "installation": made.installation,
            "cut": dict(made.cut),
            **verdict.as_json(),
            "tables_differing": differing,
        }
        typer.echo(json.dumps(told | {"stands": verdict.stands and not differing}, indent=2))
    else:
        _print(made, voucher, verdict, differing)
    if not verdict.stands or differing:
        raise typer.Exit(_EXIT_FALLEN)


def _look(
    stack: ExitStack,
    config: Config,
    made: Certificate,
    sources: list[str] | None,
    deep: bool,
    bars: SegmentBar,
) -> Verdict:
    from replicator import certificate as certificates
    from replicator.storage import open_store
    from replicator.verify import marks

    stores = {}
    for name in sources or list(config.destinations):
        stores[name] = open_store(config.destination(name))
        stack.callback(stores[name].close)
        mark = marks.find(stores[name])
        if mark is None or made.cluster_id is None:
            continue
        if (mark.installation, mark.cluster_id) != (made.installation, made.cluster_id):
            raise RefusedError(
                f"{name} holds installation {mark.installation!r} of Kafka cluster {mark.cluster_id}; the "
                f"certificate is about {made.installation!r} of {made.cluster_id}.",
                next_step="name the destinations that the restore read with --from",
            )
    bars.begin(len(made.objects), made.size)
    return certificates.check(made, stores, deep=deep, advance=lambda size: bars.advance(1, size))


def _differing(made: Certificate, target: str) -> list[str]:
    """The tables whose rows aren't those of the certificate, in words."""
    from replicator.compare import capture
    from replicator.restore.target.database import check_result

    check_result(target)
    found = capture(target).tables
    said = {one.table: (one.rows, one.digest) for one in made.digests}
    now = {name: (one.rows, one.digest) for name, one in found.items()}
    return [
        f"{name}: {_rows(said.get(name))} in the certificate, {_rows(now.get(name))} in the database"
        + (", with other values" if name in said and name in now and said[name][0] == now[name][0] else "")
        for name in sorted(said.keys() | now.keys())
        if said.get(name) != now.get(name)
    ]


def _rows(found: tuple[int, str] | None) -> str:
    return "no such table" if found is None else f"{found[0]:,} rows"


def _print(made: Certificate, voucher: str, verdict: Verdict, differing: list[str]) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    cut = made.cut
    console.print(f"{made.installation} as of {cut['time']}, LSN {cut['lsn']}, transaction {cut['xid']}")
    console.print(f"  asked for: {made.target}; {voucher}")
    how = "every byte read" if verdict.deep else "by size and checksum"
    console.print(
        f"  {verdict.objects:,} objects, {verdict.size / 2**20:,.1f} MiB, looked for in "
        f"{', '.join(verdict.asked)}: {how}"
    )
    if verdict.rolled_up:
        console.print(
            f"  {verdict.rolled_up:,} of them were rolled up since, and come out of that as they were"
        )
    if verdict.elsewhere:
        console.print(f"  {verdict.elsewhere:,} of them are gone where they were read, and are elsewhere")
    for kind, what, why in verdict.found[:_TOLD]:
        console.print(f"  {kind}: {what}: {why}")
    if len(verdict.found) > _TOLD:
        console.print(f"  and {len(verdict.found) - _TOLD:,} more: --json lists them")
    for line in differing:
        console.print(f"  {line}")
    if verdict.stands and not differing:
        console.print("it stands", style="green")
        return
    console.print("it DOESN'T STAND", style="bold red")
    if not verdict.stands:
        console.print(
            "  next: `replicator repair` brings back from another destination what one has lost; what "
            "retention removed can't be checked any more"
        )
