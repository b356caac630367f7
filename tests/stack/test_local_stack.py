"""The local stack's commands: what they leave running, what they keep, what they say when a part fails."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.parts import postgres
from deploy.local.parts.postgres import data_dir
from deploy.local.settings import HOST
from deploy.local.stack import DEFAULT_PARTS, Stack
from deploy.local.waiting import wait_for
from tests.conftest import StackControl

ROOT = Path(__file__).resolve().parents[2]


def command(directory: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "deploy.local", *words, "--dir", str(directory)]


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(directory, *words), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def processes_of(directory: Path) -> dict[int, str]:
    """Command lines, by process id, of all processes that name the directory; nobody else's do."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(directory) in line:
                found[int(entry.name)] = line[:120]
    return found


def nothing_left(directory: Path, pids: set[int]) -> str | None:
    left = processes_of(directory) | {
        pid: "(known by id)" for pid in pids if Path(f"/proc/{pid}").exists() and not zombie(pid)
    }
    return f"still running: {left}" if left else None


def zombie(pid: int) -> bool:
    """Whether the process is dead and only waits for its parent to look: nothing runs any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def cpu_seconds_of_children() -> float:
    """What commands that have ended cost: unlike the clock's seconds, the same on a busy machine."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture
def directory() -> Iterator[Path]:
    """A stack's directory of this test's own, which the database's user can reach; gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="replicator-stack-test-"))
    path.chmod(0o755)
    yield path
    Stack(path).remove()


def test_status_asks_every_part_and_a_second_up_has_nothing_to_do(stack_control: StackControl) -> None:
    if not isinstance(stack_control, Stack):
        pytest.skip("the stack is in containers here, compose has its own status")
    done = run(stack_control.directory, "status", "--json")
    assert done.returncode == 0, done.stdout
    parts = json.loads(done.stdout)["parts"]
    assert set(DEFAULT_PARTS) <= set(parts)
    assert all(parts[name]["serving"] for name in DEFAULT_PARTS)
    pids = (stack_control.directory / "pids.json").read_text()
    before = cpu_seconds_of_children()
    again = run(stack_control.directory, "up")
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert (stack_control.directory / "pids.json").read_text() == pids
    assert cpu_seconds_of_children() - before < 5


def test_a_second_start_takes_seconds_and_keeps_addresses_and_data(directory: Path) -> None:
    first = run(directory, "up", "--only", "postgres,s3")
    assert first.returncode == 0, first.stderr
    endpoints = Stack(directory).endpoints
    with psycopg.connect(endpoints.postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
    assert run(directory, "down").returncode == 0
    assert nothing_left(directory, set()) is None
    assert "not running" in run(directory, "status").stdout
    began = time.monotonic()
    assert run(directory, "up", "--only", "postgres,s3").returncode == 0
    assert time.monotonic() - began < 60
    assert Stack(directory).endpoints == endpoints
    with psycopg.connect(endpoints.postgres.dsn) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_secrets_are_readable_by_their_owner_alone(directory: Path) -> None:
    assert run(directory, "up", "--only", "s3").returncode == 0
    for name in ("endpoints.json", "settings.json"):
        assert (directory / name).stat().st_mode & 0o077 == 0, name
    settings = json.loads((directory / "settings.json").read_text())
    commands = " ".join(processes_of(directory).values())
    assert settings["s3_secret_key"] not in commands


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sig: sig.name)
def test_killing_up_before_it_is_done_leaves_nothing_running(directory: Path, sig: signal.Signals) -> None:
    up = subprocess.Popen(
        command(directory, "up"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen: dict[str, int] = {}

    def missing() -> str | None:
        if up.poll() is not None:
            pytest.fail(f"up ended by itself with status {up.returncode}:\n{up.communicate()[0]}")
        try:
            seen.update(json.loads((directory / "pids.json").read_text()))
        except (OSError, ValueError):
            return "no part has been started"
        lacking = {"postgres", "s3", "kafka", "connect"} - set(seen)
        return f"{sorted(lacking)} have not been started" if lacking else None

    wait_for("the parts to be on their way", missing, 120)
    assert not (directory / "endpoints.json").exists(), "too late: the stack was up already"
    up.send_signal(sig)
    up.communicate(timeout=60)
    assert up.returncode != 0
    pids = set(seen.values())
    wait_for("everything to be gone", lambda: nothing_left(directory, pids), 15)
    assert run(directory, "status").returncode == 1


def test_nothing_outlives_its_keeper(directory: Path) -> None:
    assert run(directory, "up", "--only", "postgres,s3").returncode == 0
    pids = json.loads((directory / "pids.json").read_text())
    os.kill(pids["keeper"], signal.SIGKILL)
    wait_for("everything to be gone", lambda: nothing_left(directory, set(pids.values())), 15)
    again = run(directory, "up", "--only", "postgres,s3")
    assert again.returncode == 0, again.stderr


def test_a_held_stack_ends_with_the_process_that_holds_it(directory: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from deploy.local.stack import Stack\n"
        "with Stack(Path(sys.argv[1])).held() as stack:\n"
        "    stack.up(['postgres', 's3'])\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert run(directory, "restart", "s3", "--signal", "KILL").returncode == 0, "by another process"
        pids = set(json.loads((directory / "pids.json").read_text()).values())
        holder.kill()
    wait_for("everything to be gone", lambda: nothing_left(directory, pids), 15)


def test_a_part_that_was_killed_comes_back_at_its_address(directory: Path) -> None:
    assert run(directory, "up", "--only", "postgres").returncode == 0
    stack = Stack(directory)
    before = stack.pid("postgres")
    stack.stop("postgres", signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(stack.endpoints.postgres.dsn, connect_timeout=3)
    assert "not running" in run(directory, "status").stdout
    stack.start("postgres")
    assert stack.pid("postgres") != before
    psycopg.connect(stack.endpoints.postgres.dsn).close()


def test_a_part_that_does_not_come_up_shows_the_end_of_its_log(directory: Path) -> None:
    assert run(directory, "up", "--only", "postgres").returncode == 0
    assert run(directory, "down").returncode == 0
    with (data_dir(directory) / "postgresql.conf").open("a") as conf:
        conf.write("no_such_setting = on\n")
    done = run(directory, "up", "--only", "postgres,s3")
    assert done.returncode == 1
    assert "postgres ended" in done.stderr
    assert "no_such_setting" in done.stderr, "the log's end belongs to the message"
    wait_for("everything to be gone", lambda: nothing_left(directory, set()), 15)


def test_a_port_that_somebody_took_is_named(directory: Path) -> None:
    assert run(directory, "up", "--only", "s3").returncode == 0
    assert run(directory, "down").returncode == 0
    port = json.loads((directory / "settings.json").read_text())["ports"]["s3"]
    with socket.create_server((HOST, port)):
        done = run(directory, "up", "--only", "s3")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr


def test_two_ups_at_once_make_one_stack(directory: Path) -> None:
    ups = [
        subprocess.Popen(
            command(directory, "up", "--only", "postgres,s3"), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [up.communicate(timeout=120)[0] for up in ups]
    assert [up.returncode for up in ups] == [0, 0]
    assert sum("already up" in output for output in outputs) == 1


def test_the_database_server_is_not_root(directory: Path) -> None:
    assert run(directory, "up", "--only", "postgres").returncode == 0
    owner = Path(f"/proc/{Stack(directory).pid('postgres')}").stat().st_uid
    assert owner != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down to another user")
def test_a_directory_the_server_cannot_enter_has_its_data_elsewhere() -> None:
    path = Path(tempfile.mkdtemp(prefix="replicator-stack-closed-"))
    try:
        assert path.stat().st_mode & 0o077 == 0
        done = run(path, "up", "--only", "postgres")
        assert done.returncode == 0, done.stderr
        assert not data_dir(path).is_relative_to(path)
    finally:
        elsewhere = data_dir(path)
        Stack(path).remove()
    assert not elsewhere.exists()
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down to another user")
def test_programs_the_server_cannot_reach_are_copied_to_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    account = postgres.server_account()
    assert account is not None
    in_place = postgres.server_bin()
    monkeypatch.setattr(postgres, "reachable_by", lambda path, _: path != in_place)
    copied = postgres.server_bin()
    assert copied != in_place
    for program in ("postgres", "psql", "pg_dump"):
        said = subprocess.run(
            [copied / program, "--version"],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "(PostgreSQL)" in said.stdout
