"""What a stack's directory remembers: ports, generated credentials, Kafka's cluster id."""

from __future__ import annotations

import base64
import json
import random
import secrets
import socket
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from deploy.local.cache import write_atomically
from deploy.local.errors import StackError

HOST = "127.0.0.1"
PORT_NAMES = (
    "postgres",
    "kafka",
    "kafka_controller",
    "connect",
    "registry",
    "registry_management",
    "s3",
    "s3_moto",
    "azure",
    "gcs",
)
# Below the kernel's ephemeral range (32768 and up by default), so that no outgoing connection takes a port
# while its part is down.
_PORT_RANGE = range(18000, 32000)


@dataclass(frozen=True, slots=True)
class Settings:
    """Ports by name, and secrets, of one stack. Written once, so addresses stay valid across restarts."""

    ports: dict[str, int]
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    s3_access_key: str = field(default_factory=lambda: "AK" + secrets.token_hex(9).upper())
    s3_secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    azure_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(48)).decode())
    kafka_cluster_id: str = field(
        default_factory=lambda: base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    )


def load_or_create(directory: Path) -> Settings:
    """Return the settings in `directory`, choosing and writing them (mode 0600) the first time.

    A part that is newer than the directory gets its port and secrets now; the others keep theirs. The caller
    holds the stack's lock.
    """
    path = directory / "settings.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"ports": {}}
    ports: dict[str, int] = known["ports"]
    if not set(ports) <= set(PORT_NAMES) or not set(known) <= {each.name for each in fields(Settings)}:
        raise StackError(
            f"{path} was written by another version of this stack",
            next_step=f"take the stack down and remove {directory}",
        )
    absent = [name for name in PORT_NAMES if name not in ports]
    chosen = free_ports(len(absent), taken=set(ports.values()))
    settings = Settings(**{**known, "ports": ports | dict(zip(absent, chosen, strict=True))})
    if asdict(settings) != known:
        write_atomically(path, json.dumps(asdict(settings), indent=1) + "\n", mode=0o600)
    return settings


def free_ports(count: int, taken: Collection[int] = ()) -> list[int]:
    """Return `count` different ports, none of `taken`, on which nothing listens at this moment."""
    found: list[int] = []
    if count == 0:
        return found
    for port in random.SystemRandom().sample(_PORT_RANGE, len(_PORT_RANGE)):
        if port not in taken and port_is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise StackError(f"fewer than {count} free ports between {_PORT_RANGE.start} and {_PORT_RANGE.stop}")


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on the port now; connections in TIME_WAIT don't count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError:
            return False
    return True
