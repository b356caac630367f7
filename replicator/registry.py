"""The schema registry, by the part of Confluent's API that every registry speaks.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import requests

from replicator import config
from replicator.errors import ReplicatorError

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_TYPE = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


class RegistryError(ReplicatorError):
    """The registry can't be asked, or refuses what is asked of it. `status` is what it answered, None where
    it didn't.
    """

    def __init__(self, message: str, *, next_step: str, status: int | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.status = status


class SchemaRegistry:
    """Asks one registry. One thread at a time."""

    def __init__(
        self, settings: config.Registry, *, section: str = "registry", meanwhile: str | None = None
    ) -> None:
        """`section` is what of the configuration names this registry; `meanwhile`, what it means for the
        data while it is away.
        """
        self.url = settings.url.rstrip("/")
        self._section = section
        self._meanwhile = meanwhile
        self._timeout_s = settings.timeout_s
        self._session = requests.Session()
        self._session.auth = settings.auth

    def schema(self, name: str) -> Any:
        """All that it says of the schema that records name so: by an id, or by `guid:…`."""
        return self.ask("GET", _path(name))

    def text(self, name: str) -> str:
        """The text of that schema."""
        answer = self.schema(name)
        try:
            return str(answer["schema"])
        except (KeyError, TypeError):
            raise self._senseless(200, "GET", _path(name), str(answer)) from None

    def register(self, subject: str, text: str) -> int:
        """The id of the schema under that subject, new or as it was."""
        path = f"/subjects/{quote(subject, safe='')}/versions"
        answer = self.ask("POST", path, {"schema": text})
        try:
            return int(answer["id"])
        except (KeyError, TypeError, ValueError):
            raise self._senseless(200, "POST", path, str(answer)) from None

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What it answers, as JSON; `RegistryError` with the next step when it doesn't, or refuses."""
        try:
            answer = self._session.request(
                method,
                self.url + path,
                json=body,
                headers=None if body is None else _TYPE,
                timeout=self._timeout_s,
            )
        except requests.RequestException as error:
            step = f"bring it back, or correct `{self._section}.url`"
            raise RegistryError(
                f"The schema registry at {self.url} can't be reached: {_why(error)}.",
                next_step=f"{step}; {self._meanwhile}" if self._meanwhile else step,
            ) from None
        if not answer.ok:
            raise self._refused(answer, method, path)
        try:
            return answer.json()
        except ValueError:
            raise self._senseless(answer.status_code, method, path, answer.text) from None

    def _refused(self, answer: requests.Response, method: str, path: str) -> RegistryError:
        status = answer.status_code
        if status in (401, 403):
            return RegistryError(
                f"The schema registry at {self.url} refuses our credentials ({status} to {method} {path}).",
                next_step=f"check `{self._section}.user` and `{self._section}.password`, and what that user "
                "may do",
                status=status,
            )
        if status == 409:
            step = (
                "that subject has another, incompatible schema: set its compatibility to NONE, or delete it"
            )
        else:
            step = f"look into its log, and whether `{self._section}.url` has its whole path"
        return RegistryError(
            f"The schema registry at {self.url} answered {status} to {method} {path}: {_brief(answer.text)}",
            next_step=step,
            status=status,
        )

    def _senseless(self, status: int, method: str, path: str, text: str) -> RegistryError:
        return RegistryError(
            f"The schema registry at {self.url} answered {method} {path} with something that a registry "
            f"doesn't say: {_brief(text)}",
            next_step=f"correct `{self._section}.url`: it is to be its Confluent-compatible address",
            status=status,
        )


def _path(name: str) -> str:
    kind, _, guid = name.partition(":")
    return f"/schemas/guids/{quote(guid)}" if kind == "guid" else f"/schemas/ids/{quote(name)}"


def _brief(text: str) -> str:
    return " ".join(text.split())[:200]


def _why(error: BaseException) -> str:
    """The innermost reason: requests wraps what urllib3 wrapped around what the socket said."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = str(error.args[-1]) if error.args else ""
    return _ERRNO.sub("", text.rpartition(": ")[2]).rstrip(".") or type(error).__name__
