"""Functions as machine code: what they return, and when what was kept is used again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import numpy as np
import pytest

from replicator.avro import machine_code
from replicator.avro.jit import compiled, inlined
from replicator.avro.machine_code import Signature

_TWICE = 2


@inlined
def _twice(value: int) -> int:
    return value * _TWICE


@compiled("u1[::1] i8[:,::1] i8", results=2)
def _sum_and_last(data: Any, table: Any, more: int) -> tuple[int, int]:
    total = more
    for i in range(data.shape[0]):
        total += _twice(data[i])
    return total, table[table.shape[0] - 1, table.shape[1] - 1]


def _plain(value: int) -> int:
    return _twice(value) + 1


def _compiled_plain() -> int:
    made: Any = compiled("i8", results=1)(_plain)
    return cast("int", made(20))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine_code, "_places", lambda: (tmp_path / "kept",))
    return tmp_path / "kept"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    compile_it: Callable[[FunctionType, Signature], tuple[str, bytes]] = machine_code._compile

    def counted(function: FunctionType, signature: Signature) -> tuple[str, bytes]:
        made.append(function.__name__)
        return compile_it(function, signature)

    monkeypatch.setattr(machine_code, "_compile", counted)
    return made


def test_arrays_and_numbers_go_in_and_several_numbers_come_out(place: Path) -> None:
    data = np.arange(5, dtype=np.uint8)
    assert _sum_and_last(data, np.arange(6).reshape(2, 3), 100) == (120, 5)


def test_an_array_of_another_type_or_with_gaps_is_refused(place: Path) -> None:
    table = np.arange(6).reshape(2, 3)
    with pytest.raises(TypeError):
        _sum_and_last(np.arange(5), table, 0)
    with pytest.raises(TypeError):
        _sum_and_last(np.zeros(5, np.uint8), table[:, ::2], 0)
    with pytest.raises(TypeError):
        _sum_and_last(np.zeros(5, np.uint8), table[0], 0)


def test_what_was_compiled_is_loaded_the_next_time(place: Path, compilations: list[str]) -> None:
    assert (_compiled_plain(), _compiled_plain()) == (41, 41)
    assert compilations == ["_plain"]


def test_a_changed_constant_is_compiled_anew(
    place: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _compiled_plain() == 41
    monkeypatch.setitem(globals(), "_TWICE", 3)
    assert _compiled_plain() == 61
    assert len(compilations) == 2


def test_a_damaged_file_is_compiled_anew(place: Path, compilations: list[str]) -> None:
    _compiled_plain()
    [kept] = place.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    assert _compiled_plain() == 41
    assert len(compilations) == 2


def test_without_a_place_to_keep_it_everything_still_works(
    tmp_path: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a file"
    file.touch()
    monkeypatch.setattr(machine_code, "_places", lambda: (file / "below",))
    assert (_compiled_plain(), _compiled_plain()) == (41, 41)
    assert len(compilations) == 2


def test_numba_is_not_started_where_everything_is_kept() -> None:
    program = (
        "import sys\n"
        "from replicator.restore import kernels\n"
        "kernels.load()\n"
        "assert kernels.are_kept()\n"
        "print('numba' in sys.modules)"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
