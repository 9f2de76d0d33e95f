"""The hashprice forward: published index values, and a year of forecasts against the last value."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.market import HASHES_PER_DIFFICULTY
from models.network_path import subsidy_btc
from models.time_grid import TimeGrid, hourly
from scenarios.forecast.hashprice import HashpriceForward
from scenarios.forecast.network_days import Network, days_of, read_days
from scenarios.local_clock import DAY_S, instant, seconds
from scenarios.timed import Timed

PUBLISHED = {2021: 314.61, 2022: 123.88, 2023: 74.73}
"""Mean hashprice of a year by Hashrate Index. [USD/(PH/s day)]"""
START = datetime(2024, 6, 1, tzinfo=UTC)
DIFFICULTY = 80e12
FEES_BTC = 0.25


def invented(days=200, growth=0.0, seed=1, height=846_720):
    """A chain that begins an epoch, with a price that walks and blocks that come as the hashrate says."""
    rng = np.random.default_rng(seed)
    price = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.02, days)))
    hashrate = DIFFICULTY * HASHES_PER_DIFFICULTY / 600 * np.exp(growth * np.arange(days))
    at, difficulty, began = 0.0, DIFFICULTY, 0.0
    heights, means = [], []
    for day in range(days):
        mean, of_day = 0.0, 0
        while at < day + 1:
            at += difficulty * HASHES_PER_DIFFICULTY / hashrate[day] / DAY_S
            height, of_day, mean = height + 1, of_day + 1, mean + difficulty
            if height % 2_016 == 0:
                difficulty, began = difficulty * 14 / (at - began), at
        heights.append(height)
        means.append(mean / of_day)
    fees = np.diff(heights, prepend=846_720) * FEES_BTC * np.exp(rng.normal(0, 0.1, days))
    starts = seconds(START) + DAY_S * np.arange(days)

    def timed(name, values):
        return Timed(name, "figure", "UTC", DAY_S, starts, starts + DAY_S, np.array(values, float))

    return Network(timed("price", price), timed("height", heights), timed("fees", fees), timed("difficulty", means))


def day(number):
    return START + timedelta(days=number)


def test_a_steady_network_is_forecast_with_its_last_price_and_known_difficulty():
    network, at = invented(), day(190)
    made = HashpriceForward().fit(network, at).forecast(network, at, hourly(at, 48))
    price = network.price_usd.values[189]
    paid = price * 1e15 * DAY_S / (DIFFICULTY * HASHES_PER_DIFFICULTY) * (subsidy_btc(850_000) + FEES_BTC)
    assert made.median == pytest.approx([paid] * 48, rel=0.04)
    assert made.mean == pytest.approx(made.median, rel=0.01)
    low, high = np.array(made.at_level(100_000)), np.array(made.at_level(900_000))
    widths = np.log(high / low)
    assert widths[47] == pytest.approx(2 * 1.2816 * 0.02 * np.sqrt(2), rel=0.35)  # two days of 2 % a day
    assert widths[0] < widths[23] < widths[47]
    assert made.unit == "USD/(PH/s day)"
    assert made.trained_until == at == made.issued_at


def test_a_retarget_to_come_is_seen_in_the_blocks_so_far():
    """The hashrate grows by 1 % a day; every epoch ends harder by some 13 %, and the forecast steps down where the truth does."""
    network, at = invented(growth=0.01), day(186)
    days = days_of(network)
    made = HashpriceForward().fit(network, at).forecast(network, at, TimeGrid(start=at, step_s=(DAY_S,) * 14))
    truth = np.array([days.hashprice(n) / days.price_usd[n] for n in range(185, 199)])
    told = np.array(made.median) / network.price_usd.values[185]
    assert truth.max() / truth.min() > 1.08
    assert told[:13] == pytest.approx(truth[:13], rel=0.04)
    assert np.abs(told - truth).mean() < 0.5 * np.abs(truth[0] - truth).mean()


def test_nothing_that_was_not_known_yet_changes_a_forecast():
    """The same past with another future, and one whose future is told too late, forecast the same to the last digit."""
    at, grid = day(190), hourly(day(190), 24)

    def told(network):
        return HashpriceForward().fit(network, at).forecast(network, at, grid)

    whole = invented()
    other = Network(*(one.between(START, at) for one in parts(whole)))
    assert told(whole) == told(other)
    late = Network(*(late_by_a_second(one, day(189)) for one in parts(other)))
    with pytest.raises(ValueError, match="hashprice: expected a grid within"):
        HashpriceForward().fit(other, day(180)).forecast(other, day(180), hourly(day(179), 24))
    assert told(late) != told(whole)
    assert told(late).yardstick[0] == pytest.approx(days_of(other).hashprice(187), rel=1e-12)


def parts(network):
    return network.price_usd, network.height_blocks, network.fees_btc, network.difficulty


def late_by_a_second(one, since):
    known = np.where(one.starts_s >= seconds(since), seconds(day(190)) + 1, one.known_s)
    return Timed(one.name, one.unit, one.zone, one.step_s, one.starts_s, known, one.values)


def test_too_short_a_history_is_refused_in_words():
    with pytest.raises(ValueError, match=r"expected at least 126 days without a gap to learn from, got 99"):
        HashpriceForward().fit(invented(days=100), day(100))


@pytest.mark.parametrize("year", PUBLISHED)
def test_the_yearly_mean_is_what_hashrate_index_published(larger_data, year):
    days = days_of(read_days(larger_data))
    of_year = [days.hashprice(n) for n, start in enumerate(days.starts_s) if instant(start).year == year]
    assert len(of_year) == 365
    assert np.mean(of_year) == pytest.approx(PUBLISHED[year], rel=0.005)


def test_the_difficulty_at_the_end_of_a_retarget_day_is_that_of_the_day_after(larger_data):
    days = days_of(read_days(larger_data))
    changed = np.flatnonzero(np.diff(days.heights // 2_016))[:-1] + 1
    found = days.ends[changed] / days.difficulty[changed + 1] - 1
    assert len(changed) > 150
    assert np.median(np.abs(found)) < 1e-6
    assert np.abs(found).max() < 0.007


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("year", [2022, 2024])
def test_a_year_of_forecasts_beats_the_last_value(larger_data, year):
    """Every other day of a year, 30 days ahead, trained anew every four weeks; fewer months than twelve prove nothing."""
    network, leads = read_days(larger_data), 30
    days = days_of(network)
    truth = np.array([days.hashprice(n) for n in range(len(days))])
    rows, fitted = [], None
    for n in range(0, 334, 2):
        at = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n)
        if n % 28 == 0:
            fitted = HashpriceForward().fit(network, at)
        made = fitted.forecast(network, at, TimeGrid(start=at, step_s=(DAY_S,) * leads))
        first = int(np.searchsorted(days.starts_s, seconds(at)))
        rows.append((truth[first : first + leads], *(made.at_level(p) for p in (100_000, 500_000, 900_000)), made.yardstick))
    actual, low, middle, high, last = (np.array(column) for column in zip(*rows, strict=True))
    ratio = np.abs(middle - actual).mean() / np.abs(last - actual).mean()
    pinball = np.mean(
        [np.maximum(t * (actual - q), (t - 1) * (actual - q)).mean() for t, q in ((0.1, low), (0.5, middle), (0.9, high))]
    )
    coverage = np.mean((actual >= low) & (actual <= high))
    print(f"{year}: MAE {ratio:.3f} of the last value's, pinball {pinball:.3f}, 10-90 holds {coverage:.3f}")
    assert ratio < 0.9
    assert pinball < 0.65 * np.abs(last - actual).mean() / 2
    assert 0.74 < coverage < 0.86
