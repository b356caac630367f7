"""A PostgreSQL server of our own on a private socket, gone with its files when it isn't needed any more."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from replicator.drill import launch as launcher
from replicator.drill.errors import DrillError
from replicator.drill.folder import own_folder
from replicator.drill.programs import Programs

_SOCKET_MAX = 90
"""A socket's whole path has 107 bytes at most (unix(7)); its name takes the rest."""
_READY_S = 60.0
_END_S = 10.0
_PROGRAM_S = 120.0
_LOG_LINES = 5


class Server:
    """A running server; its superuser is `postgres`, and who may enter its socket's directory may connect."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def dsn(self, database: str) -> str:
        """How to connect to one of its databases."""
        return make_conninfo(host=str(self._folder / "run"), port=5432, user="postgres", dbname=database)

    def dead(self, patience_s: float = 0.0) -> str | None:
        """How it ended, with the last words of its log; None while it runs, and goes on for `patience_s`."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        code = self._process.returncode
        return None if code is None else f"it ended with {_ending(code)}. {_last_words(self._folder)}"

    def wait_ready(self) -> None:
        """Return when it answers; `DrillError` when it ends before, or doesn't within a minute."""
        end = time.monotonic() + _READY_S
        while True:
            words = self.dead()
            if words is not None:
                raise DrillError(f"The scratch PostgreSQL didn't start: {words}", next_step=_NEXT)
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=3).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > end:
                    raise DrillError(
                        f"The scratch PostgreSQL doesn't answer after {_READY_S:.0f} s: "
                        f"{str(error).strip()}. {_last_words(self._folder)}",
                        next_step=_NEXT,
                    ) from None
                threading.Event().wait(0.05)
            else:
                return

    def end(self) -> None:
        """End it at once; what it holds is thrown away."""
        # Immediate shutdown: no checkpoint of what nobody will read.
        # https://www.postgresql.org/docs/current/server-shutdown.html
        for number in (signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
                return


_NEXT = "see that this machine has memory and disk for it, or name a server with `drill: {dsn: …}`"


@contextmanager
def own_server(
    programs: Programs, account: pwd.struct_passwd | None, parent: Path | None
) -> Iterator[Server]:
    """Make a cluster below `parent` and run it as `account` until the context ends; then nothing is left.

    It is as durable as PostgreSQL is by default, so that what a restore takes is what it would take. When
    this process is killed, the kernel ends the server (Linux), and the next drill removes its files.
    `DrillError` when it can't be made.
    """
    with own_folder(parent) as folder:
        if len(str(folder / "run")) > _SOCKET_MAX:
            raise DrillError(
                f"{folder} is too long a path for a socket.",
                next_step="name a shorter one under `drill: {scratch: …}`",
            )
        server = Server(_start(programs, account, folder), folder)
        try:
            server.wait_ready()
            yield server
        finally:
            server.end()


def _start(programs: Programs, account: pwd.struct_passwd | None, folder: Path) -> subprocess.Popen[bytes]:
    data, run = folder / "data", folder / "run"
    for each in (data, run):
        each.mkdir(mode=0o700)
        if account is not None:
            os.chown(each, account.pw_uid, account.pw_gid)
    # Who runs the server has to get through to its two directories; they are closed to everybody else.
    folder.chmod(0o711)
    uid, gid = (account.pw_uid, account.pw_gid) if account is not None else (None, None)
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", ""), "HOME": "/"}
    command = [str(programs.bin / "initdb"), f"--pgdata={data}", "--username=postgres", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    made = _as_server(command, uid, gid, environment)
    if made.returncode != 0:
        words = made.stderr.decode(errors="replace").strip()[-500:]
        raise DrillError(f"initdb made no scratch cluster: {words}", next_step=_NEXT)
    ids = [str(-1 if each is None else each) for each in (uid, gid)]
    launch = [sys.executable, "-I", str(Path(launcher.__file__)), str(os.getpid()), *ids]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*launch, programs.bin / "postgres", "-D", data, "-k", run, "-c", "listen_addresses="],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            # Ctrl-C is ours to act on: the server is ended when the restore has let go of it.
            start_new_session=True,
        )


def _as_server(
    command: list[str], uid: int | None, gid: int | None, environment: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, as the server's user; when that is interrupted, all it started ends."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
        )
    except PermissionError:
        raise DrillError(
            f"{command[0]} can't be run by the scratch server's user: a directory above it is closed to him.",
            next_step="name programs that he can reach under `drill: {postgres_bin: …}`, or another user "
            "under `drill: {postgres_user: …}`",
        ) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise DrillError(f"{command[0]} doesn't run: {error}", next_step=_NEXT) from None
    with process:
        try:
            output, errors = process.communicate(timeout=_PROGRAM_S)
        except BaseException as error:
            _kill_session(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise DrillError(f"{command[0]} doesn't end: {error}", next_step=_NEXT) from None
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """The process and its children, and return when none of them can write any more."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + _END_S
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(process.pid, 0)
            threading.Event().wait(0.02)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / "log").read_text(errors="replace").strip().splitlines()[-_LOG_LINES:]
    except OSError:
        return "Its log is gone."
    return "Its log ends: " + " | ".join(lines) if lines else "Its log is empty."
