"""The whole of `replicator.yaml`: one installation."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from replicator.config.compact import Compact
from replicator.config.control import Control
from replicator.config.destinations import Destination
from replicator.config.drill import Drill
from replicator.config.kafka import Kafka, Registry
from replicator.config.notify import Notify
from replicator.config.place import Place
from replicator.config.replay import Replay
from replicator.config.restore import Restore
from replicator.config.retention import Retention
from replicator.config.rollup import Rollup
from replicator.config.run import Run
from replicator.config.section import NAME
from replicator.config.sink import Sink
from replicator.config.source import Source
from replicator.errors import ConfigError


class Config(BaseSettings):
    """One installation: one source database, its Kafka, and the destinations that keep its changes."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="REPLICATOR_", env_nested_delimiter="__"
    )

    installation: str = Field(
        pattern=NAME, description="names the topics, the slot and the objects; never changes"
    )
    kafka: Kafka
    registry: Registry
    source: Source
    destinations: dict[Annotated[str, Field(pattern=NAME)], Destination] = {}
    sink: Sink = Sink()
    replay: Replay = Replay()
    compact: Compact = Compact()
    retention: Retention = Retention()
    rollup: Rollup = Rollup()
    control: Control = Control()
    drill: Drill = Drill()
    restore: Restore = Restore()
    run: Run = Run()
    notify: Notify = Notify()

    @model_validator(mode="after")
    def _places_of_their_own(self) -> Self:
        found: dict[Place, str] = {}
        for name, destination in self.destinations.items():
            other = found.setdefault(destination.place, name)
            if other != name:
                raise ValueError(
                    f"destinations {other!r} and {name!r} are one place ({destination.words}, prefix "
                    f"{destination.prefix!r}): they would count as two copies and be one; "
                    "give one of them another bucket or prefix"
                )
        return self

    @field_validator("installation")
    @classmethod
    def _not_our_own_topics(cls, value: str) -> str:
        if value == "replicator":
            raise ValueError("the topics of dead letters and of control begin with `replicator.` themselves")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, as people expect of an override."""
        return env_settings, init_settings

    def destination(self, name: str) -> Destination:
        """The destination of that name; `ConfigError` with the known names when there is none."""
        try:
            return self.destinations[name]
        except KeyError:
            known = ", ".join(sorted(self.destinations)) or "none is configured"
            raise ConfigError(
                f"There is no destination named {name!r} (known: {known}).",
                next_step="add it under `destinations:` in replicator.yaml, or name one that is there",
            ) from None
