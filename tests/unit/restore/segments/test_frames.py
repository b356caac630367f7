from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import guests
from bench.plan import Store
from replicator.restore.segments import frames as frames_module
from replicator.restore.segments.fetch import SMALL, Fetcher
from replicator.restore.segments.frames import frames
from replicator.restore.segments.records import Scanner
from replicator.restore.segments.sources import Sources
from replicator.storage.file import FileStore

NAMES = {
    "type": "record",
    "name": "named",
    "fields": [{"name": "name", "type": "string"}, {"name": "n", "type": ["null", "long"]}],
}
OTHER = {**NAMES, "fields": [*NAMES["fields"], {"name": "more", "type": "string"}]}
PATHS = {"offset": ("offset",), "name": ("value", "name"), "n": ("value", "n")}


@pytest.fixture
def fetcher(tmp_path: Path) -> Iterator[Fetcher]:
    """Many small segments, then some of another schema, and one that is large."""
    store = Store(tmp_path / "store")
    for number in range(40):
        store.add("names", NAMES, [{"name": f"ä{number}-{n}", "n": n or None} for n in range(number % 4)])
    for number in range(3):
        store.add("names", OTHER, [{"name": f"o{number}", "n": number, "more": "x"}])
    long = guests.records(300, 3, 7)
    store.add("names", NAMES, [{"name": json.dumps(str(value)), "n": 1} for _, value in long])
    store.add("names", NAMES, [{"name": "last", "n": None}])
    opened = Fetcher(Sources([("store", FileStore(tmp_path / "store"))]), tmp_path)
    yield opened
    opened.close()


def test_small_segments_read_together_are_what_they_are_one_by_one(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    [chain] = fetcher._sources.catalog().topic("bench.names")
    assert any(piece.size > SMALL for piece in chain.pieces)
    monkeypatch.setattr(frames_module, "_TOGETHER", 7)
    found = frames(fetcher.fetch(chain.pieces), {0: chain.pieces[-1].stop})
    scanner, one_by_one = Scanner(*PATHS.values()), Scanner(*PATHS.values())
    chunks = [chunk.dictionaries(PATHS) for chunk in scanner.joined(found)]
    alone = [
        row for frame in found for chunk in one_by_one.chunks(frame) for row in chunk.dictionaries(PATHS)
    ]
    assert [row for chunk in chunks for row in chunk] == alone
    assert len(chunks) < len(found) / 3


def test_a_frame_that_is_cut_gives_only_its_own_part(fetcher: Fetcher) -> None:
    [chain] = fetcher._sources.catalog().topic("bench.names")
    found = [frame for frame in frames(fetcher.fetch(chain.pieces), {0: 20}) if frame.first < 20]
    rows = [
        row["offset"]
        for chunk in Scanner(("offset",)).joined(found)
        for row in chunk.dictionaries({"offset": ("offset",)})
    ]
    assert rows == list(range(20))
