"""Loops that touch every value, as machine code: compiled by numba once per machine, then loaded without it.

Starting numba takes half a second, loading what it has compiled two milliseconds.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import update_wrapper
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

from replicator.avro import machine_code

# In compiled functions these are machine types; to a type checker they are what they stand for.
int64: Callable[[Any], int] = np.int64  # type: ignore[assignment]
uint64: Any = np.uint64
uint8: Any = np.uint8

_Function = TypeVar("_Function", bound=Callable[..., Any])


def inlined(function: _Function) -> _Function:
    """A part of compiled functions; called from Python it runs as Python."""
    function.compiled_with_caller = True  # type: ignore[attr-defined]
    return function


def compiled(arguments: str, results: int = 0) -> Callable[[_Function], _Function]:
    """The function as machine code that runs without the GIL; loaded, or compiled, at its first call.

    `arguments` are numba's names of types: `i8` (an integer), `u1[::1]` (an array of bytes), `CPointer(u1)`
    (an array that the function knows no length of, and whose indexes cost least). `results` is how many
    integers it returns. Nothing is checked in it that it doesn't check itself: every index has to be proven
    in the function. It can't allocate.
    """

    def made(function: _Function) -> _Function:
        return cast("_Function", Compiled(cast("FunctionType", function), arguments.split(), results))

    return made


class Compiled:
    """A function that `compiled` was applied to."""

    def __init__(self, function: FunctionType, arguments: list[str], results: int) -> None:
        update_wrapper(self, function)
        self._function = function
        self._signature = machine_code.Signature(tuple(arguments), results)
        self._parameters = [_parameter(name) for name in arguments]
        self._lock = threading.Lock()
        self._code: machine_code.Code | None = None
        self._call: Any = None

    @property
    def is_kept(self) -> bool:
        """Whether the machine code needs no compiling any more."""
        return self._call is not None or machine_code.kept(self._function, self._signature) is not None

    def load(self) -> None:
        """Make ready for the first call; takes seconds where the function has to be compiled."""
        with self._lock:
            if self._call is None:
                self._code = machine_code.load(self._function, self._signature)
                flat = [kind for _, kinds in self._parameters for kind in kinds]
                prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *flat)
                self._call = prototype(self._code.address)

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns."""
        if self._call is None:
            self.load()
        results = (ctypes.c_int64 * max(self._signature.results, 1))()
        failure = ctypes.c_void_p()
        flat: list[int] = []
        for (dtype, kinds), given in zip(self._parameters, arguments, strict=True):
            if dtype is None:
                flat.append(given)
            else:
                _flatten(given, dtype, len(kinds), flat)
        if self._call(ctypes.byref(results), ctypes.byref(failure), *flat) != 0:
            raise ArithmeticError(f"{self._function.__qualname__} failed: the loop has an error")
        match self._signature.results:
            case 0:
                return None
            case 1:
                return results[0]
            case _:
                return tuple(results)


def _parameter(name: str) -> tuple[Any, list[Any]]:
    """The element type of an array, None for an integer; and the C types that numba passes instead of it."""
    if name.startswith("CPointer("):
        return np.dtype(name[len("CPointer(") : -1]), [ctypes.c_void_p]
    element, bracket, shape = name.partition("[")
    if not bracket:
        return None, [ctypes.c_int64]
    dimensions = shape.count(",") + 1
    # Owner, parent, items, bytes an item, data, then the shape, then the strides.
    pointers = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    return np.dtype(element), [*pointers, *([ctypes.c_int64] * (2 * dimensions))]


def _flatten(array: Any, dtype: Any, parts: int, flat: list[int]) -> None:
    if array.dtype != dtype or not array.flags.c_contiguous or parts not in (1, 5 + 2 * array.ndim):
        raise TypeError(f"{array.dtype} of {array.ndim} dimensions was given, not contiguous {dtype}")
    address = array.__array_interface__["data"][0]
    if parts == 1:
        flat.append(address)
        return
    flat += (0, 0, array.size, array.itemsize, address)
    flat += array.shape
    flat += array.strides
