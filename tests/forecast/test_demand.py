"""Demand: a level times the shape of a week, each day forecast by the others, against the same hour before."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.time_grid import TimeGrid, hourly
from scenarios.forecast.demand import DemandShape, left_out
from scenarios.local_clock import DAY_S, HOUR_S, seconds
from scenarios.markets.demand import read_burstgpt, read_servegen
from scenarios.timed import Timed

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def invented(days=28, noise=0.05, zone="UTC", seed=2, step_s=HOUR_S):
    """Twice as much by day as by night, half as much on Sundays, a level that doubles in the last week."""
    rng = np.random.default_rng(seed)
    starts = seconds(MONDAY) + step_s * np.arange(days * DAY_S // step_s)
    hour = starts % DAY_S / HOUR_S
    day = (starts - seconds(MONDAY)) // DAY_S
    values = (
        1_000 * (1.5 - 0.5 * np.cos(2 * np.pi * hour / 24)) * np.where(day % 7 == 6, 0.5, 1.0) * np.where(day >= days - 7, 2, 1)
    )
    values = values * np.exp(rng.normal(0, noise, len(starts)))
    return Timed("chat", "tokens/h", zone, step_s, starts, starts + step_s, values)


def at(day):
    return MONDAY + timedelta(days=day)


def made(past, day, grid):
    return DemandShape().fit(past, at(day)).forecast(past, at(day), grid)


def test_the_shape_of_the_day_and_of_the_weekday_and_the_new_level_are_found():
    past = invented(days=35)
    saturday, sunday = made(past, 33, hourly(at(33), 24)), made(past, 34, hourly(at(34), 24))
    hours = np.arange(24)
    shape = 2_000 * (1.5 - 0.5 * np.cos(2 * np.pi * hours / 24))
    night_to_noon = np.array(saturday.median) / saturday.median[12]
    assert night_to_noon == pytest.approx(shape / shape[12], rel=0.1)
    assert 0.75 < sum(saturday.median) / sum(shape) < 1.0  # four fifths of what has just doubled
    assert 0.45 < sum(sunday.median) / sum(saturday.median) < 0.65
    assert saturday.yardstick[5] == pytest.approx(past.values[26 * 24 + 5])


def test_quantiles_hold_what_they_say_and_the_mean_lies_between():
    past = invented(days=60, noise=0.3)
    actual, levels, _ = left_out(past.between(at(0), at(52)))
    inside = (actual >= levels[1]) & (actual <= levels[5])
    assert inside.mean() == pytest.approx(0.8, abs=0.04)
    told = made(past, 50, hourly(at(50), 48))
    assert all(low <= mean <= high for low, mean, high in zip(told.values[0], told.mean, told.values[-1], strict=True))
    assert told.mean[10] > told.median[10]  # errors of a logarithm lean upwards


def test_a_day_further_ahead_is_never_told_of_what_was_not_known():
    past = invented(days=40)
    cut = past.between(at(0), at(30))
    grid = hourly(at(30), 48)
    assert made(past, 30, grid) == made(cut, 30, grid)
    with pytest.raises(ValueError, match="chat: expected at least 5 days to learn from, got 4"):
        DemandShape().fit(past, at(4))
    with pytest.raises(ValueError, match=r"chat: expected at least 5 days known by .*, got none"):
        DemandShape().fit(past, at(-1))


def test_steps_of_a_grid_take_the_means_of_the_finer_series():
    past = invented(step_s=900)
    quarter = made(past, 27, TimeGrid(start=at(27), step_s=(900,) * 96))
    hour = made(past, 27, hourly(at(27), 24))
    assert hour.median == pytest.approx(np.array(quarter.median).reshape(24, 4).mean(axis=1))
    with pytest.raises(ValueError, match="chat: expected a grid of whole steps of 900 s"):
        made(past, 27, TimeGrid(start=at(27), step_s=(600,) * 6))


def test_no_demand_at_night_stays_no_demand():
    past = invented()
    nights = past.starts_s % DAY_S < 6 * HOUR_S
    silent = Timed("chat", "tokens/h", "UTC", HOUR_S, past.starts_s, past.known_s, np.where(nights, 0.0, past.values))
    told = made(silent, 27, hourly(at(27), 24))
    assert max(told.median[:6]) < 0.02 * max(told.median)
    assert min(min(row) for row in told.values) >= 0


REAL = {
    # series: most that the mean absolute error may be of that of the better naive forecast, and the days it is tried on
    "m-small": (1.0, 7),
    "m-large": (1.0, 7),
    "burst requests": (0.75, 37),
    "burst conversation_requests": (0.85, 37),
}


@pytest.mark.parametrize("name", REAL)
def test_each_day_left_out_is_forecast_better_than_the_same_hour_before(larger_data, name):
    most, days = REAL[name]
    burst = name.startswith("burst")
    past = read_burstgpt(larger_data, name[6:], start=MONDAY) if burst else read_servegen(larger_data, name, start=MONDAY)
    actual, levels, (yesterday, last_week) = left_out(past)
    weekly = np.where(np.isfinite(last_week), last_week, yesterday)
    naive = min(np.abs(yesterday - actual).mean(), np.abs(weekly - actual).mean())
    ratio = np.abs(levels[3] - actual).mean() / naive
    coverage = ((actual >= levels[1]) & (actual <= levels[5])).mean()
    print(f"{name}: MAE {ratio:.3f} of the better naive one, 10-90 holds {coverage:.3f}")
    assert len(actual) == days
    assert ratio < most
    assert coverage == pytest.approx(0.8, abs=0.06)
