"""Weighing what is said of prices: whoever was right in the last day counts, and nothing is seen before it was known."""

import numpy as np
import pytest
from backtest.by_the_hour import history

from scenarios.backtest.blend import LEAST_PAIRS, Blend

CAME = [100.0] * 30


def says(*offs):
    """Each says the same of every step of every window."""
    return lambda first, steps: np.array([[off] * steps for off in offs], float)


def blended(first, say, came=CAME):
    return Blend().price(history(came), "HUB", first, 4, say)


def test_before_enough_has_come_the_first_counts_alone():
    assert blended(LEAST_PAIRS - 1, says(70.0, 100.0))[0] == 70.0


def test_who_was_right_all_day_counts_alone():
    assert blended(24, says(500.0, 100.0)) == pytest.approx([100.0] * 4, abs=0.01)


def test_equals_share_but_a_trained_model_is_trusted_more():
    found = blended(24, says(90.0, 110.0))
    weights = np.array([1 / (6.0**4 + 1), 1 / (10.0**4 + 1)])
    assert found == pytest.approx([weights @ [90.0, 110.0] / weights.sum()] * 4)


def test_prices_that_come_later_change_nothing():
    later = CAME[:12] + [9000.0] * 18
    say = says(90.0, 130.0, 105.0)
    assert (blended(12, say) == blended(12, say, later)).all()


def test_going_on_after_a_break_weighs_as_without_it():
    of, say, through = history([float(n % 7) for n in range(30)]), says(3.0, 5.0), Blend()
    for first in range(12):
        through.price(of, "HUB", first, 4, say)
    assert (through.price(of, "HUB", 12, 4, say) == Blend().price(of, "HUB", 12, 4, say)).all()
