"""Forecasts of prices: right where the answer is known, honest about their spread, and blind to what comes later."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast import Forecast
from models.time_grid import TimeGrid, hourly, local_day_grid
from scenarios.forecast.expert import Expert
from scenarios.forecast.naive import Naive
from scenarios.forecast.price import Lear, price_forecaster
from scenarios.forecast.rows import RowForecaster
from scenarios.local_clock import HOUR_S, local_s, seconds
from scenarios.markets import read_market
from scenarios.timed import Timed

ZONE = "America/Chicago"
START_S = seconds(datetime(2022, 1, 3, 6, tzinfo=UTC))  # a Monday's midnight in Chicago
DAYS = 120
HOURS = 24 * DAYS
AT = datetime(2022, 4, 25, 5, tzinfo=UTC)  # a Monday's midnight in summer time
FORECASTERS = {
    "naive": RowForecaster(Naive()),
    "yesterday": RowForecaster(Naive(1)),
    "last week": RowForecaster(Naive(7)),
    "expert": RowForecaster(Expert()),
    "lear": RowForecaster(Lear()),
}
every_forecaster = pytest.mark.parametrize("name", FORECASTERS)


def series(values: np.ndarray, known_after_s: int = HOUR_S, name: str = "price") -> Timed:
    """Hourly prices from START on, each known so long after its hour begins."""
    starts_s = START_S + HOUR_S * np.arange(len(values))
    return Timed(name, "USD/MWh", ZONE, HOUR_S, starts_s, starts_s + known_after_s, values, "USD")


def noisy(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A day-ahead price with a daily shape, and a real-time price that is it, and noise with now and then a spike."""
    rng = np.random.default_rng(seed)
    hour = np.arange(HOURS)
    ahead = 40 + 15 * np.sin(hour * 2 * np.pi / 24) + np.repeat(rng.normal(0, 12, DAYS), 24) + rng.normal(0, 1, HOURS)
    return ahead, ahead + rng.standard_t(4, HOURS) * 2 + (rng.random(HOURS) < 0.005) * 500


def auction(values: np.ndarray) -> Timed:
    """Day-ahead prices, known at 13:30 of the day before."""
    one = series(values, name="ahead")
    midnight = one.starts_s - one.local_s % 86_400
    return replace(one, known_s=midnight - 37_800)


def forecast(name: str, price: Timed, at: datetime = AT, hours: int = 48, beside: tuple[Timed, ...] = ()) -> Forecast:
    model = FORECASTERS[name]
    return model.fit(price, at, beside).forecast(price, at, hourly(at, hours), beside)


def poisoned(one: Timed, at: datetime, value: float) -> Timed:
    """The same series, but everything known later than an instant is another number, and told once more."""
    late = one.known_s > seconds(at)
    values = np.where(late, value, one.values)
    again = one.known_s.min() + 0 * one.starts_s  # nobody may look at what was told at a later time, of any step
    return replace(
        one,
        starts_s=np.concatenate([one.starts_s, one.starts_s]),
        known_s=np.concatenate([one.known_s, np.maximum(again, seconds(at) + 1 + one.known_s - one.known_s.min())]),
        values=np.concatenate([values, np.full(len(one), value)]),
    )


@every_forecaster
@pytest.mark.parametrize("hour", [0, 15])
def test_what_is_known_later_than_the_origin_never_matters(name: str, hour: int):
    ahead, real = (build(v) for build, v in zip((auction, series), noisy(), strict=True))
    at, model = AT + timedelta(hours=hour), FORECASTERS[name]
    clean = model.fit(real, at, (ahead,)).forecast(real, at, hourly(at, 24), (ahead,))
    bad, bad_ahead = poisoned(real, at, 1e6), poisoned(ahead, at, -1e6)
    again = model.fit(bad, at, (bad_ahead,)).forecast(bad, at, hourly(at, 24), (bad_ahead,))
    assert again.model_dump_json() == clean.model_dump_json()
    gone = model.fit(real.known_by(at), at, (ahead.known_by(at),))
    assert gone.forecast(real.known_by(at), at, hourly(at, 24), (ahead.known_by(at),)) == clean


@every_forecaster
def test_values_told_some_hours_later_do_matter(name: str):
    """The test above could not fail if forecasts stood on nothing."""
    real = series(noisy()[1])
    late = replace(real, known_s=real.known_s + 5 * HOUR_S)
    assert forecast(name, real, hours=24).median != forecast(name, late, hours=24).median


def wandering(seed: int = 9) -> np.ndarray:
    """Prices whose level of a day is mostly that of the day before."""
    rng = np.random.default_rng(seed)
    level = 40.0 * np.ones(DAYS)
    for day in range(1, DAYS):
        level[day] = 40 + 0.95 * (level[day - 1] - 40) + rng.normal(0, 6)
    return (level[:, None] + 8 * np.sin(np.arange(24) / 4) + rng.normal(0, 1, (DAYS, 24))).reshape(-1)


def test_an_older_fit_sees_newer_prices_but_learns_nothing_of_them():
    price = series(wandering())
    fitted = FORECASTERS["lear"].fit(price, AT - timedelta(days=9))
    told = fitted.forecast(price, AT, hourly(AT, 24))
    assert told.trained_until == AT - timedelta(days=9)
    changed = replace(price, values=np.where(price.starts_s >= seconds(AT) - 86_400, price.values + 10, price.values))
    moved = fitted.forecast(changed, AT, hourly(AT, 24))
    assert 5 < np.mean(moved.median) - np.mean(told.median) < 15
    assert fitted.forecast(price, AT, hourly(AT, 24)) == told


def test_the_naive_repeats_what_it_says_and_chooses_the_better():
    hour = np.arange(HOURS)
    weekly = 30 + hour % 168
    told = forecast("naive", series(weekly.astype(float)))
    now = (seconds(AT) - START_S) // HOUR_S
    assert told.median == tuple(weekly[now : now + 48].astype(float))
    assert told.model == "naive 1: same hour last week"
    assert told.yardstick == told.median
    daily = forecast("naive", series(20.0 + hour % 24 + 0.01 * hour))
    assert daily.model == "naive 1: same hour yesterday"
    assert daily.yardstick[:24] == daily.yardstick[24:]


def test_the_plain_model_finds_the_regression_that_made_the_prices():
    rng = np.random.default_rng(3)
    days = np.zeros((DAYS, 24)) + 50.0
    for d in range(7, DAYS):
        days[d] = 10 + 0.5 * days[d - 1] + 0.2 * days[d - 7] + 0.1 * days[d - 2] + rng.normal(0, 3, 24)
    price = series(days.reshape(-1))
    told = forecast("expert", price, hours=24)
    d = (seconds(AT) - START_S) // 86_400
    rows = price.values[: (d + 1) * 24 + 24]
    now = (seconds(AT) - START_S) // HOUR_S
    back = lambda by: rows[now - by : now - by + 24]  # noqa: E731 # three lags of one line
    expected = 10 + 0.5 * back(24) + 0.1 * back(48) + 0.2 * back(168)
    assert np.abs(np.array(told.median) - expected).mean() < 1.5


def test_lasso_beats_both_yardsticks_where_there_is_something_to_learn():
    rng = np.random.default_rng(5)
    level = np.full(300, 40.0)
    for day in range(1, len(level)):
        level[day] = 40 + 0.6 * (level[day - 1] - 40) + rng.normal(0, 6)
    weekday = np.array([0, 4, 6, 5, 2, -12, -18])[np.arange(len(level)) % 7]
    shape = 8 * np.sin(np.arange(24) / 4) + rng.normal(0, 1, (len(level), 24))
    price = series(((level + weekday)[:, None] + shape).reshape(-1))
    begin = datetime(2022, 9, 1, 5, tzinfo=UTC)
    off = {}
    for name in ("lear", "yesterday", "last week"):
        fitted = FORECASTERS[name].fit(price, begin)
        grids = [hourly(begin + timedelta(days=day), 24) for day in range(50)]
        told = [np.array(fitted.forecast(price, grid.start, grid).median) - price.on(grid) for grid in grids]
        off[name] = np.abs(told).mean()
    assert off["lear"] < 0.8 * min(off["yesterday"], off["last week"])


def test_a_day_ahead_price_that_is_known_is_used_and_named():
    ahead, real = (build(v) for build, v in zip((auction, series), noisy(), strict=True))
    alone, told = forecast("lear", real, hours=24), forecast("lear", real, hours=24, beside=(ahead,))
    came = real.on(hourly(AT, 24))
    assert told.model == "lear 1 with ahead"
    assert alone.model == "lear 1"
    off = [np.abs(np.array(one.median) - came).mean() for one in (told, alone)]
    assert off[0] < 0.6 * off[1]
    short = replace(ahead, **{f: getattr(ahead, f)[-400:] for f in ("starts_s", "known_s", "values")})
    assert forecast("lear", real, hours=24, beside=(short,)).model == "lear 1"  # on too few days to be learned from


@every_forecaster
def test_what_is_known_already_is_told_as_it_is(name: str):
    ahead = auction(noisy()[0])
    at = AT + timedelta(hours=11)  # before the auction: today is known, tomorrow is not
    told = forecast(name, ahead, at, hours=30)
    known = tuple(ahead.on(hourly(at, 13)))
    assert all(row[:13] == known for row in (*told.values, told.mean, told.yardstick))
    assert told.values[0][14] < told.values[-1][14]
    late = forecast(name, ahead, at + timedelta(hours=3), hours=27)
    assert late.values[0] == late.values[-1] == tuple(ahead.on(hourly(at + timedelta(hours=3), 27)))


@pytest.mark.parametrize("name", ["lear", "naive"])
def test_the_band_holds_what_it_promises_when_noise_grows_and_calms(name: str):
    rng = np.random.default_rng(11)
    hours = np.arange(24 * 400)
    loud = np.repeat(np.where(np.arange(400) // 30 % 2, 9.0, 2.0), 24) * (1 + 0.5 * np.sin(hours * np.pi / 12))
    price = series(50 + 10 * np.sin(hours * np.pi / 12) + loud * rng.standard_normal(len(hours)))
    held: list[bool] = []
    begin = datetime(2022, 8, 1, 5, tzinfo=UTC)
    fitted = FORECASTERS[name].fit(price, begin)
    for day in range(120):
        at = begin + timedelta(days=day)
        told, came = fitted.forecast(price, at, hourly(at, 24)), price.on(hourly(at, 24))
        held += list((np.array(told.at_level(100_000)) <= came) & (came <= np.array(told.at_level(900_000))))
    assert 0.74 <= np.mean(held) <= 0.86


def test_the_mean_counts_rare_high_prices_with_their_money():
    rng = np.random.default_rng(2)
    price = 20 + rng.normal(0, 1, 24 * 300) + 1000.0 * (rng.random(24 * 300) < 0.03)
    at = datetime(2022, 10, 1, 5, tzinfo=UTC)
    one = series(price)
    told = price_forecaster().fit(one, at).forecast(one, at, hourly(at, 24))
    assert 18 < np.median(told.median) < 23
    assert 35 < np.mean(told.mean) < 70  # 20 + 3 % of 1,000
    assert max(told.values[-1]) <= price.max()


@pytest.mark.parametrize(("day", "steps"), [(date(2022, 3, 13), 23), (date(2022, 11, 6), 25)])
def test_days_of_23_and_25_hours_have_as_many_steps(day: date, steps: int):
    rng = np.random.default_rng(8)
    starts_s = START_S - 86_400 * 60 + HOUR_S * np.arange(24 * 370)
    values = 30 + 10 * np.sin(local_s(ZONE, starts_s) * np.pi / 43_200) + rng.normal(0, 1, len(starts_s))
    price = Timed("price", "USD/MWh", ZONE, HOUR_S, starts_s, starts_s + HOUR_S, values)
    grid = local_day_grid(ZONE, day)
    told = FORECASTERS["lear"].fit(price, grid.start).forecast(price, grid.start, grid)
    assert len(told.median) == steps
    assert np.abs(np.array(told.median) - price.on(grid)).mean() < 3


@settings(max_examples=15)
@given(st.integers(0, 71), st.integers(1, 72), st.sampled_from(["naive", "expert"]))
def test_any_hour_and_length_gives_an_ordered_distribution(hour: int, hours: int, name: str):
    price = series(noisy()[1])
    at = AT - timedelta(hours=hour)
    told = forecast(name, price, at, hours)  # the record itself refuses quantiles that cross
    assert told.grid.steps == hours
    assert price.values.min() <= min(told.values[0])
    assert max(told.values[-1]) <= price.values.max()


def test_steps_finer_than_an_hour_take_the_hours_forecast():
    price = series(noisy()[1])
    fine = TimeGrid(start=AT + timedelta(minutes=20), step_s=(600,) * 4 + (3600,) * 2)
    told = FORECASTERS["naive"].fit(price, AT).forecast(price, AT, fine)
    whole = FORECASTERS["naive"].fit(price, AT).forecast(price, AT, hourly(AT, 3))
    assert told.median == (whole.median[0],) * 4 + whole.median[1:]


def gap(one: Timed, days: int) -> Timed:
    """A series that lacks noon to one for some days before AT."""
    lost = (one.starts_s >= seconds(AT) - 86_400 * days) & (one.local_s % 86_400 == 43_200)
    return replace(one, **{f: getattr(one, f)[~lost] for f in ("starts_s", "known_s", "values")})


REFUSALS: dict[str, tuple[Callable[[Timed], Forecast], str]] = {
    "nothing is known": (
        lambda p: forecast("lear", p, datetime(2022, 1, 3, tzinfo=UTC)),
        "price: expected prices known by 2022-01-03",
    ),
    "too little is known": (lambda p: forecast("lear", p, datetime(2022, 2, 3, 6, tzinfo=UTC)), "at least 60 whole days"),
    "too far": (lambda p: forecast("naive", p, hours=240), "within 9 days"),
    "no noon for weeks": (lambda p: forecast("lear", gap(p, 9)), "price: expected prices of the seven days before"),
    "longer than a step": (
        lambda p: RowForecaster(Naive()).fit(p, AT).forecast(p, AT, TimeGrid(start=AT, step_s=(7200,))),
        "inside the 3600 s steps",
    ),
    "a step that went by": (
        lambda p: FORECASTERS["naive"].fit(gap(p, 1), AT).forecast(gap(p, 1), AT, hourly(AT - timedelta(hours=13), 2)),
        "2022-04-24T17:00:00Z is missing, though later ones are known",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_forecast_is_refused_in_words(what: str):
    ask, words = REFUSALS[what]
    with pytest.raises(ValueError, match=words):
        ask(series(noisy()[1]))


def test_a_hole_of_days_is_bridged_by_the_days_before_it():
    price = gap(series(noisy()[1]), 3)
    assert len(forecast("lear", price, hours=24).median) == 24


def test_real_prices_are_forecast_from_what_was_known(larger_data: Path):
    at = datetime(2023, 7, 1, 5, tzinfo=UTC)
    price, ahead = read_market(larger_data, "ercot_north"), read_market(larger_data, "ercot_dam_average")
    model = price_forecaster(window_days=364)
    told = model.fit(price, at, (ahead,)).forecast(price, at, hourly(at, 24), (ahead,))
    bad, bad_ahead = (replace(one, values=np.where(one.known_s > seconds(at), 1e6, one.values)) for one in (price, ahead))
    assert model.fit(bad, at, (bad_ahead,)).forecast(bad, at, hourly(at, 24), (bad_ahead,)) == told
    fitted, off = model.fit(price, at, (ahead,)), []
    for day in range(21):
        grid = hourly(at + timedelta(days=day), 24)
        told = fitted.forecast(price, grid.start, grid, (ahead,))
        off.append([np.abs(np.array(row) - price.on(grid)).mean() for row in (told.median, told.yardstick)])
    ours, yardstick = np.mean(off, axis=0)
    assert ours < yardstick
