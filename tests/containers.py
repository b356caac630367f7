"""The stack in containers, where a Docker daemon answers: docker-compose.yml through testcontainers."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from testcontainers.compose import DockerCompose

from deploy.local import endpoints as contract
from deploy.local.converter import CLASS_NAME
from deploy.local.converter import settings as converter_settings
from deploy.local.errors import StackError
from deploy.local.parts.azure import ACCOUNT
from deploy.local.parts.gcs import PROJECT
from deploy.local.parts.postgres import USER, server_bin
from deploy.local.parts.s3 import REGION
from deploy.local.settings import HOST, free_ports

ROOT = Path(__file__).resolve().parent.parent
_PORTS = (
    "POSTGRES_PORT",
    "KAFKA_PORT",
    "CONNECT_PORT",
    "REGISTRY_PORT",
    "S3_PORT",
    "AZURE_PORT",
    "GCS_PORT",
)


@cache
def docker_answers() -> bool:
    """Return whether a Docker daemon answers here and can run a compose file."""
    if shutil.which("docker") is None:
        return False
    for command in (("docker", "info"), ("docker", "compose", "version")):
        if subprocess.run(command, capture_output=True, timeout=30, check=False).returncode != 0:
            return False
    return True


class ComposeControl:
    """Breaks and mends parts of the stack in containers, as `deploy.local.Stack` does with processes."""

    def __init__(self, project: str, environment: Mapping[str, str], endpoints: contract.Endpoints) -> None:
        self._command = ["docker", "compose", "--project-name", project]
        self._environment = dict(environment)
        self.endpoints = endpoints

    def start(self, part: str) -> None:
        """Start the part and wait for its health check."""
        self._compose("up", "--detach", "--wait", "--no-deps", part)

    def stop(self, part: str, sig: signal.Signals | None = None) -> None:
        """End the part by `sig`, politely by default."""
        if sig is None:
            self._compose("stop", part)
        else:
            self._compose("kill", "--signal", sig.name, part)

    def restart(self, part: str, sig: signal.Signals | None = None) -> None:
        """Stop the part by `sig` and start it again at the same address."""
        self.stop(part, sig)
        self.start(part)

    def pid(self, part: str) -> int:
        """Return the process id, on this machine, of the part's first process."""
        container = self._compose("ps", "--quiet", part).strip()
        inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", container]
        return int(subprocess.run(inspect, capture_output=True, text=True, timeout=30, check=True).stdout)

    def _compose(self, *words: str) -> str:
        done = subprocess.run(
            [*self._command, *words],
            cwd=ROOT,
            env=os.environ | self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"docker compose {' '.join(words)} failed: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def compose_stack() -> Iterator[ComposeControl]:
    """Bring the compose file up under a project of its own, on free ports; take it down with its volumes."""
    project = f"replicator-{secrets.token_hex(4)}"
    ports = dict(zip(_PORTS, map(str, free_ports(len(_PORTS))), strict=True))
    keys = {name: secrets.token_hex(12) for name in ("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")}
    keys["AZURE_KEY"] = base64.b64encode(secrets.token_bytes(48)).decode()
    environment = {**ports, **keys, "COMPOSE_PROJECT_NAME": project}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    compose = DockerCompose(str(ROOT), build=True, wait=True)
    try:
        with compose:
            yield ComposeControl(project, environment, _endpoints(environment))
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _endpoints(environment: Mapping[str, str]) -> contract.Endpoints:
    port = {name: int(environment[name]) for name in _PORTS}
    password = environment["POSTGRES_PASSWORD"]
    registry = f"http://{HOST}:{port['REGISTRY_PORT']}"
    native = f"{registry}/apis/registry/v2"
    s3 = contract.S3(
        f"http://{HOST}:{port['S3_PORT']}", environment["S3_ACCESS_KEY"], environment["S3_SECRET_KEY"], REGION
    )
    return contract.Endpoints(
        postgres=contract.Postgres(
            host=HOST,
            port=port["POSTGRES_PORT"],
            user=USER,
            password=password,
            dsn=f"postgresql://{USER}:{password}@{HOST}:{port['POSTGRES_PORT']}/postgres",
            bin=str(server_bin()),
        ),
        kafka=contract.Kafka(f"{HOST}:{port['KAFKA_PORT']}"),
        connect=contract.Connect(f"http://{HOST}:{port['CONNECT_PORT']}"),
        registry=contract.Registry(url=f"{registry}/apis/ccompat/v7", native_url=native),
        s3=s3,
        # No moto in the compose file; what needs it starts one of its own.
        s3_moto=s3,
        azure=contract.Azure(
            f"http://{HOST}:{port['AZURE_PORT']}/{ACCOUNT}", ACCOUNT, environment["AZURE_KEY"]
        ),
        gcs=contract.Gcs(f"http://{HOST}:{port['GCS_PORT']}", PROJECT),
        converter=contract.Converter(CLASS_NAME, converter_settings(native), exact_values=True),
    )
