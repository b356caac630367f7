"""The commands as people and scripts run them, on a real database and a real Connect."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import yaml

from deploy.local.endpoints import Endpoints
from tests.source_database import SourceDatabase

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(stack: Endpoints, database: SourceDatabase, tmp_path: Path) -> Run:
    (tmp_path / "kept").mkdir()
    path = tmp_path / "replicator.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "installation": database.installation,
                "kafka": {"bootstrap_servers": stack.kafka.bootstrap_servers},
                "registry": {"url": stack.registry.url},
                "source": {
                    "dsn": "${env:SOURCE_DSN}",
                    "connect_url": stack.connect.url,
                    "pg_dump": str(Path(stack.postgres.bin) / "pg_dump"),
                },
                "destinations": {"here": {"type": "file", "path": str(tmp_path / "kept")}},
            }
        )
    )

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "replicator", "--config", str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=180,
            env={
                "SOURCE_DSN": database.dsn,
                "PATH": "/usr/bin:/bin",
                "HOME": str(tmp_path),
                "COLUMNS": "200",
            },
            stdin=subprocess.DEVNULL,
        )

    return call


def test_from_nothing_to_a_proven_capture_and_back_to_nothing(run: Run, database: SourceDatabase) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE guests (id int PRIMARY KEY, diet text DEFAULT 'none')")

    before = run("doctor", "--json")
    assert before.returncode == 3
    found = {check["check"]: check for check in json.loads(before.stdout)["checks"]}
    assert found["installation"]["fix"] == "`replicator source install`"
    assert found["connector"]["level"] == "fail"
    assert found["canary"]["level"] == "fail"

    assert run("source", "status").returncode == 3
    too_early = run("connect", "apply")
    assert too_early.returncode == 3
    assert "source install" in too_early.stderr

    assert run("source", "install").returncode == 0
    assert run("source", "status").returncode == 0
    assert (
        json.loads(run("source", "status", "--json").stdout)["installation"]["name"] == database.installation
    )

    assert run("connect", "diff").returncode == 1
    applied = run("connect", "apply")
    assert applied.returncode == 0, applied.stderr
    assert "tasks RUNNING" in applied.stdout
    assert run("connect", "diff").returncode == 0
    assert run("connect", "check").returncode == 0
    assert json.loads(run("connect", "status", "--json").stdout)["tasks"] == ["RUNNING"]

    proven = run("doctor")
    assert proven.returncode == 0, proven.stdout
    assert "canary: NULL" in proven.stdout

    assert run("connect", "remove", "--purge", "--yes").returncode == 0
    gone = run("connect", "status")
    assert gone.returncode == 3
    assert "ABSENT" in gone.stdout
    assert run("source", "uninstall", "--yes").returncode == 0
    assert run("source", "status").returncode == 3


def test_a_running_connector_is_not_changed_unasked_and_no_secret_is_shown(
    run: Run, database: SourceDatabase
) -> None:
    assert run("source", "install").returncode == 0
    shown = run("connect", "diff")
    assert "database.password" in shown.stdout
    password = psycopg.conninfo.conninfo_to_dict(database.dsn)["password"]
    assert str(password) not in shown.stdout + shown.stderr
    assert run("connect", "apply").returncode == 0
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE seats (id int PRIMARY KEY, wedding_id int)")
    # A table that is new since would get its leading key column: that is a change of a running connector.
    unasked = run("connect", "apply")
    assert unasked.returncode == 2
    assert "--yes" in unasked.stdout
    assert "nothing is lost by it" in run("connect", "check").stdout
    assert run("connect", "apply", "--yes").returncode == 0
    assert run("connect", "check").returncode == 0


def test_an_unknown_destination_is_an_error_before_anything_is_looked_at(run: Run) -> None:
    result = run("doctor", "there")
    assert result.returncode == 2
    assert "no destination named 'there'" in result.stderr
    assert result.stdout == ""
