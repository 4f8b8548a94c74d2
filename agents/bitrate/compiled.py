"""Compiles the numeric loops: numba, behind a decorator that keeps a function's type."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code, made at its first call and kept on disk for the next process.

    It may use numbers, arrays and other compiled functions only. A division by zero gives what
    IEEE 754 says and raises nothing, which keeps branches out of the inner loops.
    """
    return cast("Callable[P, R]", njit(cache=True, nogil=True, error_model="numpy")(function))
