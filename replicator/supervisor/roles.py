"""Which processes an installation consists of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from replicator.config import Config
from replicator.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Role:
    """One process of the tree: `replicator ARGUMENTS`, and the labels that its figures get."""

    name: str
    arguments: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says beyond the configuration."""

    instances: Mapping[str, int]
    accept_unproven_values: bool = False


def roles_of(config: Config, wishes: Wishes) -> list[Role]:
    """All roles, in the order in which they are started; `ConfigError` for instances of no destination."""
    for name in {**config.run.instances, **wishes.instances}:
        config.destination(name)
    roles = [role for kind in _KINDS for role in kind(config, wishes)]
    if not roles:
        raise ConfigError(
            "There is nothing to run: no destination has an instance here, and run.control is false.",
            next_step="add a destination under `destinations:`, or raise its number under run.instances",
        )
    return roles


def _sinks(config: Config, wishes: Wishes) -> list[Role]:
    options = ("--accept-unproven-values",) if wishes.accept_unproven_values else ()
    found = []
    for name in config.destinations:
        count = wishes.instances.get(name, config.run.instances.get(name, 1))
        for number in range(1, count + 1):
            labels = (("role", "sink"), ("destination", name), ("member", str(number)))
            found.append(Role(f"sink:{name}:{number}", ("sink", name, *options), labels))
    return found


def _replays(config: Config, wishes: Wishes) -> list[Role]:
    """One for each destination that has sinks here: more would only wait for each other."""
    return [
        Role(f"replay:{name}", ("replay", name), (("role", "replay"), ("destination", name)))
        for name in config.destinations
        if wishes.instances.get(name, config.run.instances.get(name, 1))
    ]


def _control(config: Config, _: Wishes) -> list[Role]:
    return [Role("control", ("control",), (("role", "control"),))] if config.run.control else []


def _notify(config: Config, _: Wishes) -> list[Role]:
    return [Role("notify", ("notify",), (("role", "notify"),))] if config.notify.urls else []


_KINDS: tuple[Callable[[Config, Wishes], list[Role]], ...] = (_control, _sinks, _replays, _notify)
"""One function for each kind of role."""
