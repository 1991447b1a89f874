from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api import intstr

_PERCENT = st.integers(-200, 300)
_TOTAL = st.integers(0, 10**6)


@given(_PERCENT, _TOTAL)
def test_a_percentage_is_rounded_as_exact_arithmetic_rounds_it(percent: int, total: int) -> None:
    exact = Fraction(percent * total, 100)
    assert intstr.ceil(f"{percent}%", total) == math.ceil(exact)
    assert intstr.floor(f"{percent}%", total) == math.floor(exact)
    assert intstr.legacy_floor(f"{percent}", total) == math.floor(exact)


def test_seven_percent_of_a_hundred_is_seven() -> None:
    assert intstr.ceil("7%", 100) == 7


@given(st.integers(), _TOTAL)
def test_a_number_is_itself(number: int, total: int) -> None:
    assert intstr.ceil(number, total) == intstr.floor(number, total) == intstr.legacy_floor(number, total) == number


@pytest.mark.parametrize(
    "value", ["", "5", "abc", "%", "5 %", "1.5%", "5%%", "٥%", "--5%", f"{2**63}%", "9" * 5000 + "%"]
)
def test_anything_but_a_whole_percentage_is_an_error_that_names_it(value: str) -> None:
    for resolve in (intstr.ceil, intstr.floor):
        with pytest.raises(intstr.IntOrStringError, match="invalid value") as raised:
            resolve(value, 10)
        assert raised.value.value == value


def test_leading_zeros_count_for_nothing() -> None:
    assert intstr.percent("-" + "0" * 5000 + "7%") == -7
    assert intstr.percent(f"{2**63 - 1}%") == 2**63 - 1


def test_the_legacy_reading_takes_numbers_without_a_sign_and_signs_without_end() -> None:
    assert intstr.legacy_floor("50", 5) == 2
    assert intstr.legacy_floor("%50%", 5) == 2
    with pytest.raises(intstr.IntOrStringError):
        intstr.legacy_floor("half", 5)
