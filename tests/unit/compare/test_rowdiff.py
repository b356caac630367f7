from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.compare.rowdiff import RowDifference, _merge

_SIDES = st.dictionaries(st.text(max_size=3), st.sampled_from(("a", "b")), max_size=8)


def _in_byte_order(rows: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(rows.items(), key=lambda row: row[0].encode("utf-8", "surrogatepass"))


@given(_SIDES, _SIDES)
def test_merging_ordered_streams_pairs_every_key_once(ours: dict[str, str], theirs: dict[str, str]) -> None:
    merged = list(_merge(iter(_in_byte_order(ours)), iter(_in_byte_order(theirs))))
    assert merged == [(key, ours.get(key), theirs.get(key)) for key, _ in _in_byte_order(ours | theirs)]


def test_a_difference_reads_as_a_sentence_and_long_values_are_cut() -> None:
    difference = RowDifference("public.guests", "changed", "(7)", {"notes": (None, "x" * 200)})
    assert str(difference) == f"public.guests (7) changed: notes: NULL became {'x' * 80}… (200 characters)"
    assert str(RowDifference("public.log", "missing", "(a)", {}, 3)) == "public.log (a) missing (3 times)"
