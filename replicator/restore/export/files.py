"""A moment as files: one of each table's rows, and a manifest that says what they are, written last."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from replicator import __version__
from replicator.config import Config
from replicator.errors import ConfigError
from replicator.restore import opening
from replicator.restore.export.reading import Moment
from replicator.restore.moment.cut import Target
from replicator.restore.opening import Limits
from replicator.restore.report import Progress, Report, Silent, TableReport
from replicator.restore.selection import EVERYTHING, Selection

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["parquet", "avro"]
MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished"
_UNSAFE = re.compile(r"[^\w.-]")


def write(
    config: Config,
    source: str | Sequence[str],
    to: Target,
    directory: Path,
    kind: Format,
    *,
    selection: Selection = EVERYTHING,
    as_text: Collection[str] = (),
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write the rows of each table at the target into `directory`, which is made, and prove them.

    `as_text` names columns, `schema.table.column`, that are written as PostgreSQL's text. Until all is there
    and proven it is in `{directory}.unfinished`; then that gets its name, in one step. Raises as
    `service.run` does, `ConfigError` when the directory can't be made.
    """
    limits, progress = limits or Limits(), progress or Silent()
    progress.phase("reading the history")
    begun = time.monotonic()
    with opening.opened(config, source, limits, to) as found, _made(directory) as folder:
        plan = opening.planned_for(found, to, selection)
        moment = Moment(found, plan, limits.memory_bytes)
        report = Report(config.installation, plan.destination, plan.cut, transactions=plan.cut.number)
        report.base = None if plan.base is None else plan.base.id
        report.promises, report.not_captured = plan.promises, list(plan.not_captured)
        report.selection = plan.chosen.as_json()
        texts = by_table(moment, as_text)
        # What can't be read at all is known before anything is written.
        schemas = {name: moment.schema(name, as_text=texts.get(name, ())) for name in moment.tables}
        report.phases["reading the history"] = round(time.monotonic() - begun, 3)
        progress.tables(sum(table.size for table in plan.tables))
        files = []
        with report.timed("writing rows", progress):
            names = _file_names(moment.tables, kind)
            for name, schema in schemas.items():
                described = _table(
                    moment, name, texts.get(name, ()), schema, folder / names[name], kind, report
                )
                files.append(described)
                done = report.tables[-1]
                progress.loaded(name, done.rows, done.bytes)
        report.segments, report.bytes = found.sources.segments, found.sources.size
        report.sources, report.replaced = found.sources.shares, found.sources.replaced
        values = plan.history.sequence_values(plan.cut.number)
        report.sequences = {name: value.last_value for name, value in values.items()}
        manifest = {"format": 1, "software": __version__, "files": files, "restore": report.as_json()}
        _write(folder / MANIFEST, json.dumps(manifest, indent=2).encode())
    return report


def _table(
    moment: Moment,
    name: str,
    as_text: Collection[str],
    schema: Any,
    path: Path,
    kind: Format,
    report: Report,
) -> dict[str, Any]:
    done: list[TableReport] = []
    table = moment.declared(name)
    rows = moment.read(table, as_text, done)
    (_parquet if kind == "parquet" else _avro)(path, name, schema, rows)
    report.tables += done
    report.unproven += [
        {"table": name, "column": column, "why": why} for column, why in moment.unproven[name]
    ]
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "table": name,
        "file": path.name,
        "rows": done[0].rows,
        "bytes": path.stat().st_size,
        "sha256": digest,
        "columns": {column.name: column.text for column in table.columns if not column.generated},
        "computed_by_postgresql": [column.name for column in table.columns if column.generated],
        "as_text": sorted(as_text),
    }


def _parquet(path: Path, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _avro(path: Path, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import fastavro

    from replicator.restore.export import avro_rows

    made = avro_rows.schema(name, schema)
    rows = (row for batch in batches for row in avro_rows.rows(batch, schema))
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(made), rows, codec="deflate")


@contextmanager
def _made(directory: Path) -> Iterator[Path]:
    """Where to write; it becomes `directory` when the block ends without an error, and is removed else."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(
            f"{directory} is there already and isn't an empty directory; it was left as it is.",
            next_step="name one that isn't there, or remove it",
        )
    unfinished = directory.absolute().with_name(directory.absolute().name + _UNFINISHED)
    try:
        # Left by a run that was killed; nothing else makes this name.
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            f"{unfinished} can't be made: {error.strerror}.",
            next_step="name a directory that can be written, on a disk with room for the rows",
        ) from None
    try:
        yield unfinished
        if directory.exists():
            directory.rmdir()
        unfinished.rename(directory)
        _sync(directory.absolute().parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def by_table(moment: Moment, columns: Collection[str]) -> dict[str, list[str]]:
    """The names of `schema.table.column` by table; `ConfigError` for one that stores nothing."""
    found: dict[str, list[str]] = {}
    for column in columns:
        table, _, name = column.rpartition(".")
        if table not in moment.tables or name not in {each.name for each in moment.declared(table).stored}:
            raise ConfigError(
                f"--as-text {column}: no table at that moment stores such a column.",
                next_step="name it as schema.table.column",
            )
        found.setdefault(table, []).append(name)
    return found


def _file_names(tables: Sequence[str], kind: Format) -> dict[str, str]:
    """A file's name for each table; characters that a file system may not take become `_`."""
    found: dict[str, str] = {}
    for table in tables:
        plain = _UNSAFE.sub("_", table)
        name, number = f"{plain}.{kind}", 1
        while name.lower() in {each.lower() for each in found.values()}:
            number += 1
            name = f"{plain}-{number}.{kind}"
        found[table] = name
    return found


def _write(path: Path, body: bytes) -> None:
    with path.open("xb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
