"""The act in which one segment of a bucket is deleted and another altered, and both are found and mended.

Azure's stand-in adds damage of its own: it writes its index every five seconds, so at its SIGKILL it forgets
what it had acknowledged since. Azure keeps what it acknowledges; here it is found and mended with the rest.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.storage.blob import ContainerClient

from demo import clouds
from demo.site import DemoError
from demo.stage import Stage
from replicator.errors import IntegrityError
from replicator.segment.name import CHANGES, Chain, SegmentName
from replicator.segment.ranges import Ranges

HARMED = "azure"
_SOURCES = ("s3", "gcs")
_INDEX, _LATE = timedelta(seconds=15), timedelta(seconds=1)
"""How long before its death the stand-in may have acknowledged what it forgot, and how late a sink tells."""
_HARMFUL = {"missing", "short", "altered", "unreadable"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What explains the findings of a verification."""

    both_found: bool
    forgotten: int
    unexplained: list[str]


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done to the bucket, what verify called it, and what came of the repair."""

    deleted: str
    altered: str
    found: dict[str, int]
    both_found: bool
    forgotten: int
    """Missing ranges that the stand-in had acknowledged just before it was killed."""
    unexplained: list[str]
    """Findings that nobody caused."""
    repaired: int
    by_source: dict[str, int]
    clean: bool


def inflict_and_mend(stage: Stage, killed_at: datetime) -> Damage:
    """Delete a segment and alter another with the provider's own SDK; verify, repair, verify again."""
    show, site = stage.show, stage.site
    with clouds.azure_container(site.endpoints, site.name) as container:
        gone, bent = victims(blob.name for blob in container.list_blobs(name_starts_with=CHANGES))
        container.delete_blob(gone.key())
        _flip_a_bit(container, bent.key())
    show.step(f"somebody harms the bucket in {HARMED}: a segment is deleted, one bit of another is flipped")
    found = _verify(stage, IntegrityError.exit_code)
    report = site.logs / "findings.json"
    report.write_text(json.dumps(found))
    durable = stage.durable[HARMED].items()
    recent = [place for place, at in durable if killed_at - _INDEX <= at <= killed_at + _LATE]
    judgement = judge(found["findings"], gone, bent, recent)
    kinds = Counter(finding["kind"] for finding in found["findings"])
    show.result("verify --deep: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    if judgement.forgotten:
        show.result(f"{judgement.forgotten} ranges are what the stand-in forgot when it was killed")
    sources = [option for name in _SOURCES for option in ("--from", name)]
    mended = json.loads(site.run("repair", HARMED, *sources, "--findings", str(report), "--json"))
    repaired = mended["copied"] + mended["replaced"] + mended["removed"]
    clean = not _verify(stage, 0)["damaged"]
    given = ", ".join(f"{count} from {name}" for name, count in mended["by_source"].items())
    show.result(f"repair: {given}; what was damaged is kept aside; verify --deep: sound")
    return Damage(
        deleted=gone.key(),
        altered=bent.key(),
        found=dict(kinds),
        both_found=judgement.both_found,
        forgotten=judgement.forgotten,
        unexplained=judgement.unexplained,
        repaired=repaired,
        by_source=mended["by_source"],
        clean=clean,
    )


def victims(keys: Iterable[str]) -> tuple[SegmentName, SegmentName]:
    """A segment to delete and one to alter: inside of the longest chain, neither at its end nor neighbours.

    `DemoError` where no chain is long enough.
    """
    chains: dict[Chain, list[SegmentName]] = defaultdict(list)
    for key in keys:
        name = SegmentName.parse(key)
        if name is not None:
            chains[name.chain].append(name)
    longest: list[SegmentName] = max(chains.values(), key=lambda names: len(names)) if chains else []
    longest.sort()
    if len(longest) < 5:
        raise DemoError(
            f"The longest chain has {len(longest)} segments: too few to harm two of them.",
            next_step="let the traffic flow for longer: --traffic-seconds",
        )
    return longest[len(longest) // 3], longest[len(longest) * 2 // 3]


def _flip_a_bit(container: ContainerClient, key: str) -> None:
    """Leave everything as it is but one bit in the middle: length, metadata and time of day say nothing."""
    blob = container.get_blob_client(key)
    body = bytearray(blob.download_blob().readall())
    body[len(body) // 2] ^= 1
    blob.upload_blob(bytes(body), overwrite=True, metadata=blob.get_blob_properties().metadata)


def _verify(stage: Stage, status: int) -> dict[str, Any]:
    output = stage.site.run("verify", HARMED, "--deep", "--committed", "--json", status=status)
    report: dict[str, Any] = json.loads(output)
    return report


def judge(
    findings: list[dict[str, Any]],
    gone: SegmentName,
    bent: SegmentName,
    acknowledged: Iterable[tuple[str, int, int, int]],
) -> Judgement:
    """What explains each finding: the deleted segment, the altered one, or segments (topic, partition, first,
    next) that the stand-in had `acknowledged` and forgot."""
    deleted = (gone.topic, gone.partition, gone.first, gone.next)
    known = [*acknowledged, deleted]
    harmful = [finding for finding in findings if finding["kind"] in _HARMFUL]
    altered = [each for each in harmful if each["kind"] == "altered" and each["key"] == bent.key()]
    missing = [each for each in harmful if _is_made_of(each, known)]
    hit = [finding for finding in missing if _lacks(finding, [deleted]) != _range(finding)]
    return Judgement(
        both_found=bool(altered and hit),
        forgotten=len(missing) - len(hit),
        unexplained=[each["detail"] for each in harmful if each not in altered and each not in missing],
    )


def _is_made_of(finding: dict[str, Any], segments: list[tuple[str, int, int, int]]) -> bool:
    return finding["kind"] == "missing" and not _lacks(finding, segments).spans


def _lacks(finding: dict[str, Any], segments: list[tuple[str, int, int, int]]) -> Ranges:
    """The offsets of the finding that none of the segments holds."""
    place = (finding["topic"], finding["partition"])
    held = ((first, stop) for topic, partition, first, stop in segments if (topic, partition) == place)
    return _range(finding) - Ranges.of(held)


def _range(finding: dict[str, Any]) -> Ranges:
    return Ranges.of([(finding["first"], finding["next"])])
