"""Temperature: the season, the hour, and an anomaly that fades."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.time_grid import hourly
from scenarios.forecast.temperature import TemperatureAnomaly
from scenarios.local_clock import DAY_S, HOUR_S, seconds
from scenarios.markets.weather import read_temperature
from scenarios.timed import Timed

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
FADES = 0.97
"""What is left of an anomaly after an hour."""


def climate(starts_s):
    season, hour = 2 * np.pi * starts_s / (365.2425 * DAY_S), 2 * np.pi * starts_s / DAY_S
    return 15 - 12 * np.cos(season) - 5 * np.cos(hour)


def invented(days=500, size=0.5, seed=4):
    rng = np.random.default_rng(seed)
    starts = seconds(FIRST) + HOUR_S * np.arange(days * 24)
    anomaly = np.zeros(len(starts))
    for n, shock in enumerate(rng.normal(0, size, len(starts) - 1)):
        anomaly[n + 1] = FADES * anomaly[n] + shock
    return Timed("temperature", "C", "UTC", HOUR_S, starts, starts + HOUR_S, climate(starts) + anomaly)


def at(day):
    return FIRST + timedelta(days=day)


def test_an_anomaly_fades_into_the_season():
    past = invented()
    hot = Timed("temperature", "C", "UTC", HOUR_S, past.starts_s, past.known_s, past.values.copy())
    fitted = TemperatureAnomaly().fit(past, at(480))
    base = fitted.forecast(past, at(480), hourly(at(480), 96))
    day = past.starts_s >= seconds(at(479))
    hot = Timed("temperature", "C", "UTC", HOUR_S, past.starts_s, past.known_s, past.values + 5 * day)
    warmer = np.array(fitted.forecast(hot, at(480), hourly(at(480), 96)).mean) - np.array(base.mean)
    assert warmer[0] == pytest.approx(5 * FADES, abs=0.5)
    assert warmer[24] == pytest.approx(5 * FADES**25, abs=0.9)
    assert abs(warmer[90]) < 1.2
    truth = climate(seconds(at(480)) + HOUR_S * np.arange(96))
    assert np.abs(np.array(base.mean)[72:] - truth[72:]).max() < 2.5


def test_quantiles_hold_what_they_say():
    past = invented(days=600)
    fitted = TemperatureAnomaly().fit(past, at(400))
    told = [fitted.forecast(past, at(n), hourly(at(n), 48)) for n in range(401, 590, 3)]
    inside = [np.array((f.at_level(100_000) <= past.on(f.grid)) & (past.on(f.grid) <= f.at_level(900_000))) for f in told]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.06)
    widths = np.array(told[0].at_level(900_000)) - told[0].at_level(100_000)
    assert widths[0] == pytest.approx(2 * 1.2816 * 0.5, rel=0.15)
    assert widths[47] > 2.5 * widths[0]


def test_nothing_later_changes_a_forecast_and_what_is_not_there_is_named():
    past, grid = invented(days=200), hourly(at(150), 24)
    fitted = TemperatureAnomaly().fit(past, at(150))
    cut = past.between(FIRST, at(150))
    assert TemperatureAnomaly().fit(cut, at(150)).forecast(cut, at(150), grid) == fitted.forecast(past, at(150), grid)
    with pytest.raises(ValueError, match="temperature: expected at least 60 days of hours, got 720 of 3600 s"):
        TemperatureAnomaly().fit(past, at(30))
    holed = past.between(FIRST, at(149) - timedelta(hours=-3))
    with pytest.raises(ValueError, match="temperature: expected whole hours within 240 h"):
        fitted.forecast(holed, at(150), hourly(at(170), 24))


@pytest.mark.parametrize("city", ["dallas_ercot", "frankfurt_de"])
def test_a_year_of_days_is_forecast_better_than_the_same_hour_of_the_last_day(larger_data, city):
    past, start = read_temperature(larger_data, city), datetime(2022, 1, 1, tzinfo=UTC)
    fitted = TemperatureAnomaly().fit(past, start, leads=48)
    off, naive, inside = [], [], []
    for n in range(0, 360, 9):
        now = start + timedelta(days=n, hours=n % 24)
        told = fitted.forecast(past, now, hourly(now, 48))
        truth = past.on(told.grid)
        off.append(np.abs(np.array(told.median) - truth).mean())
        naive.append(np.abs(np.array(told.yardstick) - truth).mean())
        inside.append(np.mean((truth >= told.at_level(100_000)) & (truth <= told.at_level(900_000))))
    print(f"{city}: {np.mean(off):.2f} C against {np.mean(naive):.2f} C, 10-90 holds {np.mean(inside):.3f}")
    assert np.mean(off) < 0.9 * np.mean(naive)
    assert np.mean(inside) == pytest.approx(0.8, abs=0.08)
