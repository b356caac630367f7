"""S3: versitygw, which enforces checksums, signatures and preconditions; moto for what it doesn't have."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import requests

from deploy.local import go_programs
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.parts.port import Site
from deploy.local.settings import HOST
from deploy.local.versions import VERSITYGW, VERSITYGW_MODULE

REGION = "us-east-1"


def versitygw() -> Path:
    """Return where the cache keeps the built server."""
    return go_programs.binary("versitygw", VERSITYGW)


class S3Part:
    """The S3 server."""

    name = "s3"
    stop_signal = signal.SIGTERM
    start_seconds = 30.0
    needs: tuple[str, ...] = ()

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Build versitygw into the cache: minutes the first time."""
        go_programs.build("versitygw", VERSITYGW, VERSITYGW_MODULE, keeper, log)

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Make the directories for objects, versions and accounts."""
        for name in ("objects", "versions", "accounts"):
            (site.part_dir(self.name) / name).mkdir(exist_ok=True)

    def command(self, site: Site) -> Command:
        """Return the gateway. An own --iam-dir, or it would not refuse wrong credentials."""
        directory = site.part_dir(self.name)
        argv = (
            str(versitygw()),
            "--port",
            f"{HOST}:{site.settings.ports['s3']}",
            "--region",
            REGION,
            "--iam-dir",
            str(directory / "accounts"),
            "--health",
            "/healthz",
            "--keep-alive",
            "--quiet",
            "posix",
            "--versioning-dir",
            str(directory / "versions"),
            str(directory / "objects"),
        )
        env = {
            "ROOT_ACCESS_KEY": site.settings.s3_access_key,
            "ROOT_SECRET_KEY": site.settings.s3_secret_key,
        }
        return Command(argv, directory, env)

    def missing(self, site: Site) -> str | None:
        """Return None once the health path answers."""
        try:
            answer = requests.get(f"{site.endpoints.s3.endpoint_url}/healthz", timeout=5)
        except requests.RequestException as error:
            return f"the S3 server doesn't answer yet: {type(error).__name__}"
        return None if answer.status_code == 200 else f"the S3 server answers {answer.status_code}"


class MotoPart:
    """moto: storage classes, lifecycle, replication, KMS headers, but no checksums and no authentication."""

    name = "s3-moto"
    stop_signal = signal.SIGTERM
    start_seconds = 60.0
    needs: tuple[str, ...] = ()

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Nothing to fetch: it came with pip."""

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Nothing to prepare: it keeps everything in memory."""

    def command(self, site: Site) -> Command:
        """Return moto's server."""
        port = str(site.settings.ports["s3_moto"])
        return Command(
            (sys.executable, "-m", "moto.server", "-H", HOST, "-p", port), site.part_dir(self.name)
        )

    def missing(self, site: Site) -> str | None:
        """Return None once its own API answers."""
        try:
            requests.get(f"{site.endpoints.s3_moto.endpoint_url}/moto-api/", timeout=5)
        except requests.RequestException as error:
            return f"moto doesn't answer yet: {type(error).__name__}"
        return None
