from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from replicator.config import Config, Control
from replicator.drill import Result, State, history
from replicator.drill.result import decode, encode
from replicator.errors import IntegrityError
from replicator.points import Keys, new_key, public_pem
from replicator.storage import StorageError

KEY = new_key()
SIGNING = Control(signing_key=SecretStr(KEY))
CHECKING = Keys(Control(public_keys=[public_pem(KEY)]))
NOW = 1_763_800_000
RESULT = Result(
    "0123456789ab", "w", 1000 * NOW - 9000, 1000 * NOW, State.EQUAL, "the LSN 0/28", ("a", "b"),
    {"commit": 3, "lsn": "0/28", "xid": 7, "time": "then"}, 9, 4096, ("public.guests",),
    rpo_s=1.5, rto_s=7.25, waited_s=0.5, phases={"finishing": 0.1}, scratch="a server",
    software="replicator 0.1.0",
)  # fmt: skip


def settings(folder: Path, control: Control = SIGNING) -> Config:
    sections: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9"},
        "registry": {"url": "http://127.0.0.1:9"},
        "source": {"dsn": "postgresql:///x"},
        "destinations": {name: {"type": "file", "path": str(folder / name)} for name in ("a", "b")},
    }
    return Config(installation="w", control=control, **sections)


@pytest.mark.parametrize("control", [SIGNING, Control()])
def test_a_result_comes_back_as_it_was(control: Control) -> None:
    keys = CHECKING if control.signing_key else Keys(Control())
    assert decode(encode(RESULT, control), RESULT.key(), keys) == RESULT


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["drill"].update(state="proven"),
        lambda said: said["drill"].update(rto_s=0.1),
        lambda said: said["drill"].update(ended_ms=5),
        lambda said: said["drill"].update(format=2),
        lambda said: said["drill"].update(state="splendid"),
        lambda said: said["drill"].pop("rows"),
        lambda said: said.update(signature=None),
        lambda said: said.update(key="0" * 16),
        lambda said: said.pop("drill"),
    ],
)
def test_an_altered_result_is_not_believed(change: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(encode(RESULT, SIGNING))
    change(said)
    with pytest.raises(IntegrityError, match=RESULT.key()):
        decode(json.dumps(said).encode(), RESULT.key(), CHECKING)


def test_every_destination_keeps_it_and_any_of_them_tells_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    config = settings(tmp_path)
    earlier = replace(RESULT, id="b" * 12, ended_ms=RESULT.ended_ms - 86_400_000, state=State.DIFFERENT)
    old = replace(RESULT, id="c" * 12, ended_ms=RESULT.ended_ms - 9 * 86_400_000)
    foreign = replace(RESULT, id="d" * 12, installation="other")
    for each in (RESULT, earlier, old, foreign):
        assert history.keep(config, ["a", "b"], each) == []
    (tmp_path / "a" / RESULT.key()).unlink()
    (tmp_path / "b" / earlier.key()).write_text("{}")
    found = history.read(config, ["a", "b"], 5, NOW)
    assert found.drills == (RESULT, earlier)
    assert found.warnings == ()


def test_what_a_destination_that_is_away_means(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    config = settings(tmp_path)
    [warning] = history.keep(config, ["a", "b"], RESULT)
    assert "b doesn't keep" in warning
    found = history.read(config, ["a", "b"], 5, NOW)
    assert found.drills == (RESULT,)
    assert "b doesn't tell" in found.warnings[0]
    with pytest.raises(StorageError):
        history.read(config, ["b"], 5, NOW)


def test_the_trend_is_the_newest_that_passed_beside_the_median_before_it() -> None:
    drills = [replace(RESULT, rto_s=rto) for rto in (12.0, 7.0, 8.0, 9.0)]
    failed = replace(RESULT, state=State.REFUSED, rto_s=None, error="a hole")
    found = history.trend([failed, *drills])
    assert (found.count, found.failed, found.rto_s, found.usual_rto_s) == (5, 1, 12.0, 8.0)
    assert str(history.trend([])) == "0 drills, 0 not passed"
    assert history.trend(drills[:1]).usual_rto_s is None


def test_a_verdict_names_the_first_key_or_the_reason() -> None:
    different = replace(
        RESULT, state=State.DIFFERENT, different=("public.guests: …",), keys=("g (3) missing",)
    )
    assert "g (3) missing" in different.verdict
    assert "a hole" in replace(RESULT, state=State.REFUSED, error="a hole").verdict
    assert not different.passed
