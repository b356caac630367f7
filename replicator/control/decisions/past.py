"""What a standby that is released has of the past, in words: can it be restored from by itself? Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from replicator.control.events.state import Duty


def at_release(name: str, duty: Duty) -> tuple[str, dict[str, float]]:
    """What the event of a release says of the copy it leaves behind, and `copied`, 1 or 0, for programs.

    A standby begins where a copy was missing; without what lies before, the initial snapshot above all, no
    moment can be restored from it alone, not even one during its duty.
    """
    since = datetime.fromtimestamp(duty.since_ms / 1000, UTC)
    if duty.copied:
        return "It has its past as well: up to this release it is a restore source by itself", {"copied": 1.0}
    return (
        "ITS COPY STAYS INCOMPLETE: the copying of what lies before it was activated "
        f"({since:%Y-%m-%d %H:%M:%S} UTC) hasn't ended, and ends here. It is no restore source by itself, "
        "for no moment; beside a destination that has the past it serves for what it took since then. "
        f"`replicator repair {name} --from … --complete` completes it now; a later activation begins the "
        "copying again",
        {"copied": 0.0},
    )
