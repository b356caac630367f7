"""Kafka Connect's REST API, as far as we need it.

Source: https://kafka.apache.org/documentation/#connect_rest. A 409 means that the workers
rebalance; it is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

from replicator.config import Config
from replicator.errors import SourceError

PATIENCE_S = 60.0
"""How long a rebalance of the workers is waited for."""
_PAUSE_S = 0.3


class ConnectError(SourceError):
    """Connect can't be reached, refuses us, or answers with an error."""


class Connect:
    """One Connect cluster. Not for use by several threads at a time."""

    def __init__(self, url: str, user: str | None = None, password: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        if user is not None:
            self._session.auth = (user, password or "")

    @classmethod
    def of(cls, config: Config) -> Connect:
        """The cluster that the configuration names."""
        secret = config.source.connect_password
        return cls(
            config.source.connect_url,
            config.source.connect_user,
            secret.get_secret_value() if secret else None,
        )

    def root(self) -> dict[str, Any]:
        """Version of the workers and the id of their Kafka cluster."""
        return dict(self._call("GET", "/"))

    def plugins(self) -> list[dict[str, Any]]:
        """All plugins of the worker, converters too; each with class, type, version."""
        return list(self._call("GET", "/connector-plugins?connectorsOnly=false"))

    def invalid_settings(self, config: Mapping[str, str]) -> dict[str, list[str]]:
        """What Connect and the connector object to, by setting; empty when all is well."""
        class_name = config["connector.class"].rsplit(".", 1)[-1]
        answer = self._call(
            "PUT", f"/connector-plugins/{quote(class_name)}/config/validate", json=dict(config)
        )
        return {
            entry["value"]["name"]: list(entry["value"]["errors"])
            for entry in answer["configs"]
            if entry["value"]["errors"]
        }

    def config(self, name: str) -> dict[str, str] | None:
        """The connector's configuration as Connect has it, secrets included; None without a connector."""
        answer = self._call("GET", f"/connectors/{quote(name, safe='')}/config", missing=True)
        return None if answer is None else {str(key): str(value) for key, value in answer.items()}

    def put_config(self, name: str, config: Mapping[str, str]) -> None:
        """Create the connector, or give it a new configuration; its tasks start again."""
        self._call("PUT", f"/connectors/{quote(name, safe='')}/config", json=dict(config))

    def status(self, name: str) -> dict[str, Any] | None:
        """States of the connector and its tasks; None when there is no such connector."""
        answer = self._call("GET", f"/connectors/{quote(name, safe='')}/status", missing=True)
        return None if answer is None else dict(answer)

    def task_configs(self, name: str) -> list[dict[str, str]]:
        """The configurations that the tasks were given."""
        answer = self._call("GET", f"/connectors/{quote(name, safe='')}/tasks", missing=True)
        return [dict(task["config"]) for task in answer or []]

    def offsets(self, name: str) -> list[dict[str, Any]]:
        """The committed source offsets; empty before the first one and when there is no such connector."""
        answer = self._call("GET", f"/connectors/{quote(name, safe='')}/offsets", missing=True)
        return list((answer or {}).get("offsets", []))

    def pause(self, name: str) -> None:
        """Ask for a pause; the tasks keep what they hold."""
        self._call("PUT", f"/connectors/{quote(name, safe='')}/pause")

    def resume(self, name: str) -> None:
        """End a pause."""
        self._call("PUT", f"/connectors/{quote(name, safe='')}/resume")

    def restart(self, name: str) -> None:
        """Restart the connector and all its tasks, failed or not."""
        self._call("POST", f"/connectors/{quote(name, safe='')}/restart?includeTasks=true&onlyFailed=false")

    def delete(self, name: str) -> bool:
        """Remove the connector; False when there was none."""
        return self._call("DELETE", f"/connectors/{quote(name, safe='')}", missing=True) is not None

    def _call(self, method: str, path: str, *, json: object = None, missing: bool = False) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                response = self._session.request(method, self.url + path, json=json, timeout=(5, 95))
            except requests.RequestException as error:
                raise ConnectError(
                    f"Kafka Connect at {self.url} can't be reached: {type(error).__name__}. "
                    "Whether this call changed anything isn't known; PostgreSQL's slot keeps the changes.",
                    next_step="check source.connect_url and that the Connect workers run",
                ) from None
            if response.status_code == 404 and missing:
                return None
            # While workers rebalance, some requests are answered by 500 with that as the reason.
            rebalancing = response.status_code == 409 or (
                response.status_code == 500 and "rebalance" in response.text
            )
            if rebalancing and time.monotonic() < deadline:
                time.sleep(_PAUSE_S)
                continue
            if response.ok:
                return response.json() if response.content else {}
            raise self._refused(response, method, path)

    def _refused(self, response: requests.Response, method: str, path: str) -> ConnectError:
        if response.status_code in (401, 403):
            return ConnectError(
                f"Kafka Connect at {self.url} refuses our credentials ({response.status_code}).",
                next_step="check source.connect_user and source.connect_password",
            )
        try:
            message = str(response.json()["message"])
        except (ValueError, KeyError, TypeError):
            message = response.text[:500] or "no message"
        if response.status_code == 409:
            return ConnectError(
                f"Kafka Connect has been rebalancing for {PATIENCE_S:.0f} s and takes no changes: {message}",
                next_step="look at the workers' logs: one of them joins and leaves again",
            )
        return ConnectError(
            f"Kafka Connect answered {response.status_code} to {method} {path}: {message}",
            next_step="the workers' log has the whole story",
        )
