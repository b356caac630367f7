"""The parts of a rehearsal that need no database."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.compare import Digests, TableDigest
from replicator.compare.digest import Table
from replicator.compare.fingerprint import differences
from replicator.config import Config
from replicator.drill import DrillError, programs
from replicator.drill.comparing import difference
from replicator.drill.folder import PREFIX, own_folder
from replicator.drill.scratch import check_disk

GUESTS = Table("public", "guests", ("id", "name"), ("id",))
VISITS = Table("public", "visits", ("page",), ())


def written(path: Path, rows: dict[str, str] | list[tuple[str, str]]) -> Path:
    pairs = rows.items() if isinstance(rows, dict) else rows
    path.write_text("".join(f"{key}\t{digest}\n" for key, digest in pairs))
    return path


@given(
    ours=st.dictionaries(st.integers(0, 30).map(lambda n: f"({n})"), st.sampled_from("abc")),
    theirs=st.dictionaries(st.integers(0, 30).map(lambda n: f"({n})"), st.sampled_from("abc")),
    part=st.sampled_from([40, 2**20]),
)
def test_every_key_that_differs_is_named_once(
    tmp_path_factory: pytest.TempPathFactory, ours: dict[str, str], theirs: dict[str, str], part: int
) -> None:
    """However many parts the files are compared in."""
    folder = tmp_path_factory.mktemp("prints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replicator.compare.fingerprint._PART", part)
        found = differences(GUESTS, written(folder / "a", ours), written(folder / "b", theirs), 100)
    expected = {(key, "missing") for key in ours.keys() - theirs.keys()}
    expected |= {(key, "unexpected") for key in theirs.keys() - ours.keys()}
    expected |= {(key, "changed") for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]}
    assert [(each.key, each.kind) for each in found] == sorted(expected)


def test_rows_without_a_key_are_counted(tmp_path: Path) -> None:
    ours = written(tmp_path / "a", [("(x)", "1"), ("(x)", "1"), ("(y)", "2")])
    theirs = written(tmp_path / "b", [("(x)", "1"), ("(y)", "2"), ("(y)", "2"), ("(y)", "3")])
    found = differences(VISITS, ours, theirs)
    assert [(each.key, each.kind, each.copies) for each in found] == [
        ("(x)", "missing", 1),
        ("(y)", "unexpected", 2),
    ]


def test_a_keys_escapes_are_undone(tmp_path: Path) -> None:
    ours = written(tmp_path / "a", [(r'("a\tb\\n\nc")', "1")])
    [found] = differences(GUESTS, ours, written(tmp_path / "b", []))
    assert found.key == '("a\tb\\n\nc")'


def digests(**rows: int) -> Digests:
    tables = {
        f"public.{name}": TableDigest(Table("public", name, ("id",), ("id",)), count, f"{count}:0", 0.0)
        for name, count in rows.items()
    }
    return Digests(tables, {}, {}, ())


def test_what_nobody_captures_is_not_compared_and_everything_else_is() -> None:
    found = difference(digests(a=1, b=2, c=3), digests(a=1, b=0, c=4), ["public.b"])
    assert found.tables == ("public.c",)
    assert len(found.words) == 1
    assert difference(digests(a=1), digests(), []).tables == ("public.a",)


def fake_programs(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(stat.S_IRWXU)
    return folder


def settings(**source: Any) -> Config:
    sections: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9"},
        "registry": {"url": "http://127.0.0.1:9"},
        "source": {"dsn": "postgresql:///x", **source.pop("source", {})},
    }
    return Config(installation="w", **sections, **source)


def test_the_programs_are_of_the_sources_version_or_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, same = fake_programs(tmp_path / "older", "15.3"), fake_programs(tmp_path / "same", "17.1")
    monkeypatch.setenv("PATH", f"{older}:{os.environ['PATH']}")
    monkeypatch.setattr(programs, "_DEBIAN", tmp_path / "nowhere")
    beside_dump = settings(source={"pg_dump": str(same / "pg_dump")})
    assert programs.find(beside_dump, 15).bin == older
    assert programs.find(beside_dump, 16) == programs.Programs(same, 17)
    with pytest.raises(DrillError, match="PostgreSQL 18 or newer") as caught:
        programs.find(beside_dump, 18)
    assert str(older) in caught.value.message
    with pytest.raises(DrillError, match="has 15"):
        programs.find(settings(drill={"postgres_bin": str(older)}), 16)


def test_a_disk_that_is_too_small_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * 2**30))
    check_disk(tmp_path, 4 * 2**30)
    check_disk(tmp_path, 2 * 2**30)
    with pytest.raises(DrillError, match=r"5\.0 GiB free.* about 5\.1"):
        check_disk(tmp_path, int(4.1 * 2**30))


def test_a_folder_is_gone_afterwards_and_a_killed_drills_with_the_next(tmp_path: Path) -> None:
    killed, running, strange = (tmp_path / f"{PREFIX}{name}" for name in ("killed", "running", "strange"))
    for folder in (killed, running, strange):
        folder.mkdir()
    (killed / "lock").touch()
    with (running / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with own_folder(tmp_path) as mine:
            assert mine.is_dir()
            assert set(tmp_path.iterdir()) == {running, strange, mine}
    assert not mine.exists()
    with pytest.raises(DrillError, match="nowhere"), own_folder(tmp_path / "nowhere"):
        pass
