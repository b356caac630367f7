"""Values that Debezium read as another type than they were of: refused where they matter, and only there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replicator.debezium.pgtypes import PgType
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.fold.folding import Fold
from replicator.restore.rows import misread, text_rows
from replicator.restore.rows.surviving import Rows
from replicator.restore.rows.table import Column, Table
from replicator.restore.schema.epochs import START, Epoch
from tests.unit.restore.fold import test_fold
from tests.unit.restore.fold.test_fold import History

TABLE = Table(
    "public", "t", 1, False, (Column("id", PgType("int8")), Column("v", PgType("text"))), "public.t"
)


@pytest.mark.parametrize(
    ("declared", "read_as", "wrong"),
    [
        ("text", "bool", True),  # 'true' becomes 'false'
        ("text", "float8", True),
        ("timestamptz", "timestamp", True),
        ("bytea", "text", True),
        ("_int4", "_text", True),
        ("text", "varchar", False),
        ("int4", "serial", False),
        ("int8", "int4", False),
        ("numeric", "numeric", False),
        ("text", "mood", False),  # a user's own: text to Debezium
        ("hstore", "text", False),
    ],
)
def test_a_type_is_misread_where_its_values_may_become_others(
    declared: str, read_as: str, wrong: bool
) -> None:
    assert misread.is_misread(PgType(declared), read_as) is wrong


def read(
    history: History,
    folder: Path,
    key: list[str],
    types: dict[str, str],
    *,
    required: str | None = None,
    epoch: Epoch | None = None,
) -> int:
    """Restore rows whose schema says that columns were read as these types, and that one is `required`."""
    value = json.loads(json.dumps(test_fold.VALUE))
    for field in value["fields"]:
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        field["type"] = [
            {"type": kind, "connect.parameters": {"__debezium.source.column.type": types[field["name"]]}}
            if kind != "null"
            else kind
            for kind in kinds
            if kind != "null" or field["name"] != required
        ]
        if len(field["type"]) == 1:
            field["type"] = field["type"][0]
    envelope: dict[str, Any] = json.loads(json.dumps(test_fold.ENVELOPE))
    envelope["fields"][0]["type"] = ["null", value]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_fold, "ENVELOPE", envelope)
        frames = history.frames(folder, 3)
    epochs = {"i.public.t": (epoch,)} if epoch is not None else None
    rows = Rows(TABLE, Fold(frames, key, history.commits, None, epochs=epochs), {})
    for _ in text_rows.batches(rows):
        pass
    return rows.counted.rows


@pytest.mark.parametrize("key", [["id"], []])
def test_rows_that_were_misread_are_refused_by_column_and_offset(tmp_path: Path, key: list[str]) -> None:
    history = History([1, 2])
    history.change(1, "true")
    assert read(history, tmp_path, key, {"id": "INT8", "v": "TEXT"}) == 2
    with pytest.raises(SchemaRefusedError, match=r"public\.t\.v was of the type text .* read it as bool"):
        read(history, tmp_path, key, {"id": "INT8", "v": "BOOL"})


def test_of_a_misread_key_no_record_may_be_believed(tmp_path: Path) -> None:
    history = History([])
    history.change(1, "x")
    history.change(1, None, delete=True)
    # Nothing is left, so no value matters; but which rows are left is what the key says.
    assert read(history, tmp_path, ["id"], {"id": "INT8", "v": "BOOL"}) == 0
    with pytest.raises(SchemaRefusedError, match=r"public\.t\.id"):
        read(history, tmp_path, ["id"], {"id": "BOOL", "v": "TEXT"})


TYPES = {"id": "INT8", "v": "TEXT"}


@pytest.mark.parametrize("key", [["id"], []])
@pytest.mark.parametrize(
    ("nullable", "refused"),
    [
        ([(START, {"v"})], True),
        ([(START, {"v"}), (15, set())], True),  # SET NOT NULL behind the row
        ([(START, {"v"}), (5, set())], False),
        ([(START, set()), (5, {"v"}), (25, set())], True),
        ([(START, set()), (10, {"v"})], False),  # DROP NOT NULL behind it
        ([(START, set())], False),
    ],
)
def test_what_could_be_null_and_was_read_as_required_is_refused(
    tmp_path: Path, key: list[str], nullable: list[tuple[int, set[str]]], refused: bool
) -> None:
    history = History([1, 2])
    history.change(3, "at LSN 10")
    epoch = Epoch("public.t", nullable=[(begin, frozenset(names)) for begin, names in nullable])
    if not refused:
        assert read(history, tmp_path, key, TYPES, required="v", epoch=epoch) == 3
        return
    with pytest.raises(SchemaRefusedError, match=r"public\.t\.v could be NULL when the record at offset"):
        read(history, tmp_path, key, TYPES, required="v", epoch=epoch)


def test_rows_of_a_snapshot_are_as_the_catalogue_was(tmp_path: Path) -> None:
    epoch = Epoch("public.t", nullable=[(START, frozenset({"v"}))])
    assert read(History([1, 2]), tmp_path, ["id"], TYPES, required="v", epoch=epoch) == 2
