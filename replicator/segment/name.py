"""A segment's name: which records it holds, and what its bytes hash to."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

FORMAT = 1
CHANGES = "v1/changes/"
FOLDED = "v1/folded/"
"""The segments of bases."""
_KEY = re.compile(
    r"v1/changes/(?P<topic>[a-zA-Z0-9._-]+)/(?P<topic_id>[A-Za-z0-9_-]{22})/(?P<partition>\d{5,})/"
    r"(?P<first>\d{20})-(?P<next>\d{20})\.(?P<hash>[0-9a-f]{16})\.avro"
)
_FILE = re.compile(r"(\d{20})-(\d{20})\.([0-9a-f]{16})\.avro")
_FOLDED_ROOT = re.compile(r"v1/folded/(?P<base>[0-9A-F]{16}-\d{12})/(?P<holds>rows|events)/")
Place = tuple[str, int]
"""A topic and a partition: where offsets count, as long as the topic isn't made anew."""


@dataclass(frozen=True, slots=True, order=True)
class Chain:
    """The place of one topic-partition's segments in a destination.

    `topic_id` is the topic's UUID in URL-safe base64 without padding: offsets begin again when a topic is
    made anew, so the id belongs to what an offset means.
    """

    topic: str
    topic_id: str
    partition: int

    @property
    def place(self) -> Place:
        """Topic and partition, as Kafka's clients know them."""
        return self.topic, self.partition

    def prefix(self) -> str:
        """The common beginning of the keys of all segments of this chain."""
        return f"{CHANGES}{self.topic}/{self.topic_id}/{self.partition:05d}/"

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """The range `[first, next)` of a chain and the first 16 hex digits of the content's SHA-256.

    `root` is where the key begins: a base has segments of its own, which leave out what is superseded.
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    next: int
    sha256_16: str
    root: str = CHANGES

    @classmethod
    def parse(cls, key: str) -> SegmentName | None:
        """The name that an object's key stands for; None when the key is no change segment's."""
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        return cls(
            match["topic"],
            match["topic_id"],
            int(match["partition"]),
            int(match["first"]),
            int(match["next"]),
            match["hash"],
        )

    @classmethod
    def parse_listed(cls, keys: Iterable[str]) -> Iterator[SegmentName | None]:
        """As `parse` of each key; quick where many keys of a chain follow each other, as in a listing."""
        known: str | None = None
        topic, topic_id, partition = "", "", 0
        for key in keys:
            folder, _, file = key.rpartition("/")
            match = _FILE.fullmatch(file) if folder == known else None
            if match is not None:
                yield cls(topic, topic_id, partition, int(match[1]), int(match[2]), match[3])
                continue
            name = cls.parse(key)
            if name is not None:
                known, topic, topic_id, partition = folder, name.topic, name.topic_id, name.partition
            yield name

    @classmethod
    def parse_folded(cls, key: str) -> SegmentName | None:
        """As `parse`, for the segments of bases."""
        root = _FOLDED_ROOT.match(key)
        plain = None if root is None else cls.parse(CHANGES + key[root.end() :])
        return None if root is None or plain is None else replace(plain, root=root[0])

    @property
    def base(self) -> str | None:
        """The id of the base that the segment belongs to; None for a change segment."""
        found = None if self.root == CHANGES else _FOLDED_ROOT.fullmatch(self.root)
        return None if found is None else found["base"]

    @property
    def holds_rows(self) -> bool:
        """Whether each record is a row of its table at the cut of a base, and nothing else is in it."""
        return self.root.endswith("/rows/")

    @property
    def chain(self) -> Chain:
        """The chain that the segment belongs to."""
        return Chain(self.topic, self.topic_id, self.partition)

    def key(self) -> str:
        """The object's key below the destination's prefix; keys of a chain sort in offset order."""
        place = f"{self.root}{self.topic}/{self.topic_id}/{self.partition:05d}/"
        return f"{place}{self.first:020d}-{self.next:020d}.{self.sha256_16}.avro"


def folded_root(base: str, *, rows: bool) -> str:
    """Where the keys of a base's segments begin: of those that hold rows, or of those that hold events."""
    return f"{FOLDED}{base}/{'rows' if rows else 'events'}/"


def url_safe_topic_id(text: str) -> str:
    """A topic id as Kafka prints it (base64, `/` and `+` in it) made fit for an object's key."""
    raw = text.strip("=")
    decoded = base64.b64decode(raw.replace("-", "+").replace("_", "/") + "=" * (-len(raw) % 4))
    return base64.urlsafe_b64encode(decoded).decode().rstrip("=")
