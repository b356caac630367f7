"""Where one run of the demonstration lives: its database, its names, its buckets, its configuration."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from demo import clouds
from deploy.local import configuration
from deploy.local.endpoints import Endpoints
from deploy.local.settings import free_ports
from replicator.errors import ReplicatorError
from replicator.points import new_key

_IMPATIENT = {
    "decide_within_s": 12.0,
    "healthy_after_s": 3.0,
    "min_active_s": 10.0,
    "release_after_s": 5.0,
    "caught_up_s": 15.0,
    "point_every_s": 5.0,
}
"""Settings of control for people who watch; the defaults are for clouds that come back after minutes."""


class DemoError(ReplicatorError):
    """A step of the demonstration didn't do what it should."""


@dataclass(frozen=True, slots=True)
class Site:
    """The names of this run, and how to reach what it uses."""

    directory: Path
    endpoints: Endpoints
    name: str
    door_port: int
    """Where the doorman before Azure listens."""

    @property
    def database(self) -> str:
        """The source's name."""
        return self.name.replace("-", "_")

    @property
    def source(self) -> str:
        """The source's DSN."""
        return self.endpoints.postgres.dsn_of(self.database)

    @property
    def config(self) -> Path:
        """The configuration that every command of this run is given."""
        return self.directory / "replicator.yaml"

    @property
    def logs(self) -> Path:
        """Where each process writes its log."""
        return self.directory / "logs"

    @property
    def key(self) -> Path:
        """The private key that signs restore points."""
        return self.directory / f"{self.name}.pem"

    @property
    def refusal(self) -> Path:
        """While this file is there, the doorman turns a segment away whose key holds the file's text."""
        return self.directory / f"{self.name}.refuse"

    def group(self, destination: str) -> str:
        """The consumer group of a destination."""
        return f"replicator.{self.name}.{destination}"

    def target(self, suffix: str) -> str:
        """The DSN of a database to restore into."""
        return self.endpoints.postgres.dsn_of(f"{self.database}_{suffix}")

    def command(self, *arguments: str) -> list[str]:
        """The command line of the replicator with this run's configuration."""
        options = ("--config", str(self.config), "--log-format", "json")
        return [sys.executable, "-m", "replicator", *options, *arguments]

    def run(self, *arguments: str, deadline_s: float = 600.0, status: int = 0) -> str:
        """Run one command of the replicator to its end; its output.

        `DemoError` when it ends with another exit status than it should.
        """
        try:
            done = subprocess.run(
                self.command(*arguments), capture_output=True, text=True, timeout=deadline_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise DemoError(f"`replicator {arguments[0]}` didn't end within {deadline_s:.0f} s.") from None
        with (self.logs / "commands.log").open("a") as log:
            log.write(
                f"$ replicator {' '.join(arguments[:2])} → {done.returncode}\n{done.stdout}{done.stderr}\n"
            )
        if done.returncode != status:
            raise DemoError(
                f"`replicator {' '.join(arguments[:2])}` ended with {done.returncode}:\n"
                + "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:]),
                next_step=f"the whole output is in {self.logs / 'commands.log'}",
            )
        return done.stdout


def prepare(directory: Path, endpoints: Endpoints) -> Site:
    """Make the database, the buckets, the signing key and the configuration of a new run."""
    [door_port] = free_ports(1)
    site = Site(directory, endpoints, f"demo-{secrets.token_hex(3)}", door_port)
    site.logs.mkdir(parents=True, exist_ok=True)
    create_database(site, site.database)
    clouds.create(endpoints, site.name)
    site.key.touch(0o600)
    site.key.write_text(new_key())
    configuration.save(site.config, _configuration(site))
    return site


def create_database(site: Site, name: str) -> None:
    """Create an empty database."""
    with psycopg.connect(site.endpoints.postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _configuration(site: Site) -> dict[str, object]:
    at = site.endpoints
    return {
        **configuration.captured(at, site.name, site.source, partitions=2),
        "destinations": clouds.destinations(at, site.name, site.door_port),
        "sink": {
            "urgent": [{"topics": ".*", "max_age_s": 1.0}],
            "refusal_patience_s": 4.0,
            "metrics_port": 0,
        },
        "run": {"metrics_port": 0},
        "replay": {"poll_s": 2.0, "metrics_port": 0},
        "control": {
            "min_copies": 2,
            "signing_key": f"${{file:{site.key}}}",
            "metrics_port": 0,
            **_IMPATIENT,
        },
    }
