"""Google Cloud Storage: fake-gcs-server, which enforces preconditions and checksums, but no credentials."""

from __future__ import annotations

import signal
from pathlib import Path

import requests

from deploy.local import go_programs
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.parts.port import Site
from deploy.local.settings import HOST
from deploy.local.versions import FAKE_GCS, FAKE_GCS_MODULE

PROJECT = "replicator"


class GcsPart:
    """The Google Cloud Storage stand-in. What it stores is on disk, and outlives a SIGKILL."""

    name = "gcs"
    stop_signal = signal.SIGTERM
    start_seconds = 30.0
    needs: tuple[str, ...] = ()

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Build fake-gcs-server into the cache: minutes the first time."""
        go_programs.build("fake-gcs-server", FAKE_GCS, FAKE_GCS_MODULE, keeper, log)

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Make the directory for objects."""
        (site.part_dir(self.name) / "objects").mkdir(exist_ok=True)

    def command(self, site: Site) -> Command:
        """Return the server. Its own address goes into the sessions of resumable uploads."""
        directory = site.part_dir(self.name)
        port = str(site.settings.ports["gcs"])
        argv = (
            str(go_programs.binary("fake-gcs-server", FAKE_GCS)),
            "-scheme",
            "http",
            "-host",
            HOST,
            "-port",
            port,
            "-external-url",
            f"http://{HOST}:{port}",
            "-public-host",
            f"{HOST}:{port}",
            "-backend",
            "filesystem",
            "-filesystem-root",
            str(directory / "objects"),
            "-data",
            "",
            "-log-level",
            "warn",
        )
        return Command(argv, directory)

    def missing(self, site: Site) -> str | None:
        """Return None once it lists buckets."""
        gcs = site.endpoints.gcs
        try:
            answer = requests.get(f"{gcs.endpoint_url}/storage/v1/b?project={gcs.project}", timeout=5)
        except requests.RequestException as error:
            return f"the GCS stand-in doesn't answer yet: {type(error).__name__}"
        return None if answer.status_code == 200 else f"the GCS stand-in answers {answer.status_code}"
