"""Numbers as users give them."""

from __future__ import annotations

from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import pytest
from cloud._arguments.option_values import real, whole
from cloud._arguments.options import split_options
from picloud_model.wire import Options


class Int64:
    """Like a NumPy integer: no int, but registered as a whole number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __int__(self) -> int:
        return self.value

    def __float__(self) -> float:
        return float(self.value)


Integral.register(Int64)


@pytest.mark.parametrize("wrong", [None, True, "5", 5.0, [5], 5j])
def test_what_is_no_whole_number(wrong: Any) -> None:
    """A bool counts nothing, and a float is not whole by chance."""
    assert whole(wrong) is None


@pytest.mark.parametrize("wrong", [None, False, "5", float("nan"), float("-inf"), 5j])
def test_what_is_no_real_number(wrong: Any) -> None:
    """Neither is what has no end."""
    assert real(wrong) is None


def test_numbers_of_any_type_are_numbers() -> None:
    """What comes back is an int or a float exactly, as it goes into JSON."""
    assert issubclass(Int64, Real)
    assert (whole(Int64(5)), real(Int64(5)), real(Fraction(1, 2))) == (5, 5.0, 0.5)
    assert type(whole(Int64(5))) is int


def test_options_take_numbers_of_any_type() -> None:
    """Cores, priorities, minutes and seeds from an array of NumPy's are as good as ints."""
    chosen, _ = split_options(
        {
            "_type": "c2",
            "_cores": Int64(2),
            "_priority": Int64(1),
            "_max_runtime": Int64(3),
            "_seed": Int64(4),
            "_fast_serialization": Int64(1),
        }
    )

    assert chosen.options == Options(
        core_type="c2", cores=2, priority=1, max_runtime_s=180.0, seed=4, fast_serialization=1
    )
