"""Machine code of Python functions: made by numba, kept on disk, and loaded by LLVM alone.

What numba makes of a function that allocates nothing needs nothing of numba to run. It is kept under a name
that all of it goes into: the function's bytecode, that of what it calls, the constants of both, and the
processor.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
import numpy as np


@dataclass(frozen=True, slots=True)
class Signature:
    """numba's names of the arguments' types, and the number of integers returned."""

    arguments: tuple[str, ...]
    results: int

    def __str__(self) -> str:
        returned = {0: "void", 1: "i8"}.get(self.results, f"UniTuple(i8,{self.results})")
        return f"{returned}({','.join(self.arguments)})"


@dataclass(frozen=True, slots=True)
class Code:
    """Where a loaded function begins; what it lies in lives as long as this."""

    address: int
    engine: Any


def load(function: FunctionType, signature: Signature) -> Code:
    """The function's machine code in this process; compiled, and kept, where none is kept."""
    made = kept(function, signature)
    if made is None:
        made = _compile(function, signature)
        _keep(_name(function, signature), made)
    symbol, code = made
    # Each in an engine of its own: the objects define the same helpers.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target().create_target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Code(engine.get_function_address(symbol), engine)


def kept(function: FunctionType, signature: Signature) -> tuple[str, bytes] | None:
    """The symbol and the object file that an earlier process has kept, whole; None when there is none."""
    name = _name(function, signature)
    for place in _places():
        try:
            content = (place / name).read_bytes()
        except OSError:
            continue
        head, _, code = content.partition(b"\n")
        symbol, _, digest = head.decode("ascii", "replace").partition(" ")
        if hashlib.sha256(code).hexdigest() == digest:
            return symbol, code
    return None


def _keep(name: str, made: tuple[str, bytes]) -> None:
    symbol, code = made
    content = f"{symbol} {hashlib.sha256(code).hexdigest()}\n".encode() + code
    for place in _places():
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=place)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(partial).replace(place / name)
            return


@cache
def _places() -> tuple[Path, ...]:
    """Beside the module, as Python keeps bytecode, or in the user's cache."""
    beside = Path(__file__).parent / "__pycache__"
    caches = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    return beside, Path(caches) / "replicator" / "machine-code"


@cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


@cache
def _machine() -> bytes:
    """What compiled code depends on beside its source."""
    parts = (version("numba"), llvm.llvm_version_info, sys.version_info[:3], platform.machine())
    processor = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return repr((parts, processor)).encode()


def _name(function: FunctionType, signature: Signature) -> str:
    digest = hashlib.sha256(_machine())
    for part in _parts(function, set()):
        digest.update(part)
    return (
        f"{function.__name__}-{hashlib.sha256(digest.digest() + str(signature).encode()).hexdigest()[:24]}.o"
    )


def _parts(function: FunctionType, seen: set[FunctionType]) -> Iterator[bytes]:
    """All that decides what the function does: its code and constants, and those of what it calls."""
    if function in seen:
        return
    seen.add(function)
    code = function.__code__
    yield repr((code.co_name, code.co_code, code.co_consts, code.co_names, code.co_varnames)).encode()
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType) and _is_inlined(value):
            yield from _parts(value, seen)
        elif isinstance(value, np.ndarray):
            yield value.tobytes()
        elif isinstance(value, (bool, int, float, str, bytes, tuple)):
            yield repr((name, value)).encode()


def _is_inlined(function: FunctionType) -> bool:
    return hasattr(function, "compiled_with_caller")


def _compile(function: FunctionType, signature: Signature) -> tuple[str, bytes]:
    import numba  # half a second, and only needed once on a machine

    dispatcher = _dispatcher(function, numba, {})
    dispatcher.compile(str(signature))
    [result] = dispatcher.overloads.values()
    _, _, (code, _) = result.library.serialize_using_object_code()
    return result.fndesc.llvm_func_name, code


def _dispatcher(function: FunctionType, numba: Any, made: dict[FunctionType, Any]) -> Any:
    """The function for numba, with the inlined ones that it calls made known to numba as well."""
    if function not in made:
        names = dict(function.__globals__)
        for name in function.__code__.co_names:
            value = names.get(name)
            if isinstance(value, FunctionType) and _is_inlined(value):
                names[name] = _dispatcher(value, numba, made)
        copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
        # Without numba's memory management nothing of numba is called at run time.
        made[function] = numba.njit(nogil=True, _nrt=False)(copy)
    return made[function]
