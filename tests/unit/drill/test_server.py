"""What a drill's own server leaves when it is interrupted while it is being made."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from deploy.local.waiting import wait_for
from replicator.drill import server
from replicator.drill.folder import PREFIX, own_folder

_SCRIPT = """#!/bin/sh
sleep 120 &
echo $! > {pid}.new && mv {pid}.new {pid}
wait
"""


def test_what_an_interrupted_program_started_ends_with_it(tmp_path: Path) -> None:
    """As initdb's PostgreSQL, which would go on writing into the directory that is being removed."""
    told, program = tmp_path / "pid", tmp_path / "program"
    program.write_text(_SCRIPT.format(pid=told))
    program.chmod(0o755)

    def due(number: int, frame: object) -> None:
        # Not before the child is there.
        if told.exists():
            raise KeyboardInterrupt
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    before = signal.signal(signal.SIGALRM, due)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            server._as_server([str(program)], None, None, {"PATH": os.environ["PATH"]})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    child = Path(f"/proc/{int(told.read_text())}")
    wait_for("the child's end", lambda: "it still runs" if _runs(child) else None, 5.0)


def _runs(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_could_not_be_removed_is_left_to_the_next_drill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hindered, own_folder(tmp_path) as folder:
        (folder / "data").mkdir()
        hindered.setattr("shutil.rmtree", lambda *_, **__: None)
    [left] = tmp_path.glob(f"{PREFIX}*")
    assert (left / "lock").exists(), "nobody would find it again"
    with own_folder(tmp_path):
        assert not left.exists()
