"""What is told of a long command where nobody looks at a terminal."""

from __future__ import annotations

from typing import cast

import pytest

from replicator.cli import bars
from replicator.cli.bars import SegmentBar, TableBars
from replicator.verify import Finding


def test_tables_are_told_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    with TableBars() as told:
        told.phase("loading tables")
        told.tables(1000)
        told.loaded("public.guests", 1234, 1000)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "loading tables\n  public.guests: 1,234 rows\n")


def test_findings_are_told_up_to_what_a_person_reads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "_TOLD", 2)
    with SegmentBar("verifying", by_size=True) as told:
        told.begin(4, 100)
        for finding in ("[one] is missing", "two", "three", "four"):
            told.found(cast(Finding, finding))
            told.advance(1, 25)
    assert capsys.readouterr().err == "[one] is missing\ntwo\nmore is counted, and listed by --json\n"
