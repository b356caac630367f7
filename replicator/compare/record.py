"""Captured digests as a file, for a comparison that happens later and elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from replicator.compare.digest import Digests, SequencePosition, Table, TableDigest
from replicator.errors import ConfigError, IntegrityError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Record:
    """The digests of the source as of `lsn`; `time` is its clock then."""

    lsn: str
    time: datetime
    digests: Digests

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        head = {"format": FORMAT, "lsn": self.lsn, "time": self.time.isoformat()}
        content = {**head, **asdict(self.digests)}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Record:
    """Read it back; `ConfigError` when it isn't there, `IntegrityError` when it isn't such a record."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from None
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise IntegrityError(f"{path} is of format {content['format']}, this version reads {FORMAT}.")
        digests = Digests(
            tables={name: _table(found) for name, found in content["tables"].items()},
            definitions=content["definitions"],
            sequences={name: SequencePosition(**found) for name, found in content["sequences"].items()},
            unlogged=tuple(content["unlogged"]),
        )
        return Record(content["lsn"], datetime.fromisoformat(content["time"]), digests)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path} isn't a record that `replicator compare --save` wrote: {error!r}.",
            next_step="hold a new point; a damaged record proves nothing",
        ) from None


def _table(found: dict[str, object]) -> TableDigest:
    table = found.pop("table")
    assert isinstance(table, dict)
    columns, key = tuple(table.pop("columns")), tuple(table.pop("key"))
    return TableDigest(Table(columns=columns, key=key, **table), **found)  # type: ignore[arg-type]
