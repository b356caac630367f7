"""Random Avro schemas, and random values of each."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import strategies as st

_LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300))
_LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": _LONGS,
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=40),
    "string": st.text(max_size=20),
}


@st.composite
def schemas(draw: st.DrawFn, depth: int = 3) -> tuple[Any, st.SearchStrategy[Any]]:
    """A schema, and the strategy of its values; every value takes at least one byte."""
    return _any(draw, depth, count())


def _any(draw: st.DrawFn, depth: int, names: count[int]) -> tuple[Any, st.SearchStrategy[Any]]:
    kinds = [*_LEAVES, "enum", "fixed"]
    if depth:
        kinds += ["record", "record", "array", "map", "null or", "or null"]
    kind = draw(st.sampled_from(kinds))
    if kind in _LEAVES:
        return kind, _LEAVES[kind]
    if kind == "enum":
        symbols = draw(st.lists(st.sampled_from("abcdefg"), min_size=1, unique=True))
        return {"type": "enum", "name": f"n{next(names)}", "symbols": symbols}, st.sampled_from(symbols)
    if kind == "fixed":
        size = draw(st.integers(1, 9))
        return (
            {"type": "fixed", "name": f"n{next(names)}", "size": size},
            st.binary(min_size=size, max_size=size),
        )
    if kind == "record":
        fields = [_any(draw, depth - 1, names) for _ in range(draw(st.integers(1, 4)))]
        schema = {
            "type": "record",
            "name": f"n{next(names)}",
            "fields": [{"name": f"f{i}", "type": each} for i, (each, _) in enumerate(fields)],
        }
        return schema, st.fixed_dictionaries({f"f{i}": values for i, (_, values) in enumerate(fields)})
    inner, values = _any(draw, depth - 1, names)
    if kind == "array":
        return {"type": "array", "items": inner}, st.lists(values, max_size=4)
    if kind == "map":
        return {"type": "map", "values": inner}, st.dictionaries(_LEAVES["string"], values, max_size=3)
    if isinstance(inner, list):
        return inner, values
    branches = ["null", inner] if kind == "null or" else [inner, "null"]
    return branches, st.one_of(st.none(), values)
