from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def replicator(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replicator", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_init_writes_a_private_file_and_never_overwrites_one(tmp_path: Path) -> None:
    first = replicator("init", cwd=tmp_path)
    assert first.returncode == 0
    written = tmp_path / "replicator.yaml"
    assert written.stat().st_mode & 0o077 == 0
    written.write_text("mine")
    second = replicator("init", cwd=tmp_path)
    assert second.returncode == 2
    assert "left as it is" in second.stderr
    assert written.read_text() == "mine"


def test_a_wrong_global_option_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    result = replicator("--log-level", "loud", "init", cwd=tmp_path)
    assert result.returncode == 2
    assert "error:" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_every_command(tmp_path: Path) -> None:
    result = replicator("--help", cwd=tmp_path)
    assert result.returncode == 0
    for command in ("init", "source", "connect", "doctor", "sink", "restore", "compare"):
        assert command in result.stdout
