"""with_room changes nothing but the depth's luck."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import pytest

from base.stack import with_room

CALLS = 300


def deeper(depth: int, function: Callable[[], int]) -> int:
    return function() if depth == 0 else deeper(depth - 1, function)


def leaf(number: int) -> int:
    one = two = three = four = five = six = number  # a frame of the common size
    return one + two + three + four + five + six


def inner(number: int) -> int:
    return leaf(number) // 6


def page_faults() -> int:
    """How many pages the system had to give while many small functions were called."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for number in range(CALLS):
        inner(number)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_it_calls_and_gives_back_what_came() -> None:
    assert with_room(divmod, 7, 2) == (3, 1)
    assert with_room(lambda: with_room(dict, [("a", 1)])) == {"a": 1}


def test_an_exception_comes_through() -> None:
    def fail(*_args: Any) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        with_room(fail, 1)


def test_no_depth_is_unlucky() -> None:
    faults = [with_room(deeper, depth, page_faults) for depth in range(150)]
    assert max(faults) < CALLS / 2


def test_it_stands_on_top_of_any_depth() -> None:
    faults = [deeper(depth, lambda: with_room(page_faults)) for depth in range(150)]
    assert max(faults) < CALLS / 2
