"""The named histories: what they are made of, what they flag, and money in other currencies."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from backtest.by_the_hour import START, timed

from models.time_grid import hourly
from scenarios.backtest.histories import HISTORIES, MEAN_VALUE_SET, _euro, load, spec_of
from scenarios.backtest.history import in_usd, price_on
from scenarios.backtest.knowledge import Naive, part_of
from scenarios.backtest.modelled import Model
from scenarios.backtest.records import BacktestSpec
from scenarios.local_clock import seconds
from scenarios.timed import Timed

needs_data = pytest.mark.skipif("WATTSPLIT_DATA" not in os.environ, reason="needs the folder of larger data (WATTSPLIT_DATA)")


def test_a_quarter_that_is_missing_takes_the_day_ahead_price_is_flagged_and_leaves_its_hour_out():
    real = timed("HUB", [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0], step_s=900)
    real = real._where(~np.isin(real.values, (30.0, 40.0)))
    came = price_on(hourly(START, 2), "HUB", real, timed("ahead", [100.0, 100.0]))
    assert came.values.tolist() == [(10 + 20 + 100 + 100) / 4, 65.0]
    assert came.is_instead == (True, False)
    (flag,) = came.flags
    assert (flag.intervals, flag.is_left_out, flag.start.minute, flag.end) == (2, True, 30, datetime(2026, 3, 2, 1, tzinfo=UTC))


def test_a_price_that_neither_market_has_is_refused_by_name_and_hour():
    real = timed("HUB", [10.0, 20.0])
    with pytest.raises(ValueError, match=r"HUB: 1 intervals have neither .* 2026-03-02T02:00:00Z"):
        price_on(hourly(START, 3), "HUB", real, timed("ahead", [9.0]))


def test_prices_in_another_currency_are_converted_by_the_rate_of_their_day():
    price = timed("DE", [100.0, 50.0])
    rate = timed("EUR", [1.1], step_s=86_400)
    assert in_usd(price, rate).values.tolist() == pytest.approx([110.0, 55.0])
    with pytest.raises(ValueError, match="no exchange rate"):
        in_usd(timed("DE", [100.0] * 30), rate)


@pytest.mark.parametrize(("year", "mean"), [(2021, 1.1827), (2022, 1.0530)])
def test_rates_of_months_come_to_the_rate_of_the_year(year, mean):
    """Published by the same bank: means over its days of business."""
    rates = _euro().between(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    assert len(rates) == 365
    assert rates.values.mean() == pytest.approx(mean, abs=1.5e-3)


MARCH_2022 = (
    1.1162, 1.1106, 1.1076, 1.0929, 1.0895, 1.0892, 1.0993, 1.1084, 1.099, 1.096, 1.0991, 1.0994, 1.1051, 1.1008, 1.1038, 1.1024,
    1.0985, 1.0978, 1.1002, 1.0966, 1.1085, 1.1126, 1.1101,
)  # fmt: skip
"""USD a euro on each day of business of the month that is replayed: reference rates of the European Central Bank."""


def test_the_rate_of_the_replayed_month_is_the_mean_of_its_days():
    rates = _euro().between(datetime(2022, 3, 1, tzinfo=UTC), datetime(2022, 4, 1, tzinfo=UTC))
    assert set(rates.values.tolist()) == {round(sum(MARCH_2022) / len(MARCH_2022), 4)}
    assert max(abs(day / rates.values[0] - 1) for day in MARCH_2022) < 0.014, "what a month's mean leaves out"


def test_specifications_say_what_is_replayed():
    spec = spec_of("caiso-2022", days=7, knowledge="model")
    assert (spec.steps, spec.window_steps, spec.gap, spec.knowledge) == (168, 24, 2e-3, "model")
    assert {m.index: m.instead for m in spec.markets} == {"CAISO_SP15": "caiso_dam_np15", "CAISO_NP15": "caiso_dam_np15"}
    assert BacktestSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValueError, match="expected one of"):
        spec_of("nowhere")
    with pytest.raises(ValueError, match="WATTSPLIT_DATA"):
        load(spec)


def test_a_start_within_a_second_is_refused():
    with pytest.raises(ValueError, match=r"start: expected a whole second, got 2021-02-18T06:30:00.500000\+00:00"):
        spec_of("storm", start=datetime(2021, 2, 18, 6, 30, 0, 500_000, tzinfo=UTC))


def test_what_a_history_would_not_heed_is_refused():
    spec = spec_of("storm", steps=2)
    assert load(spec.model_copy(update={"markets": ()})).problem == load(spec).problem
    with pytest.raises(ValueError, match=r"fleet: expected reference-texas, .* got 'mine'"):
        load(spec_of("storm", fleet="mine"))
    with pytest.raises(ValueError, match=r"markets: expected those of storm or none, got \['eu_de_lu'\]"):
        load(spec_of("storm", markets=spec_of("germany-2022").markets))


def test_the_mean_value_set_is_28_days_of_ten_sites_each():
    for name in MEAN_VALUE_SET:
        spec = spec_of(name)
        assert (spec.steps, spec.sites, HISTORIES[name].days) == (672, 10, 28)


@needs_data
@pytest.mark.parametrize(
    ("name", "left_out", "dearest_usd"),
    [("ercot-2023", 0, 5_257.575), ("ercot-2021", 4, 9_203.575), ("caiso-2022", 46, 1_994.735), ("germany-2022", 0, 771.33)],
)
def test_histories_out_of_the_folder_hold_what_came(name, left_out, dearest_usd):
    history = load(spec_of(name), Path(os.environ["WATTSPLIT_DATA"]))
    assert history.scored.count(False) == left_out
    assert max(max(values) for values in history.problem.prices_usd_per_mwh.values()) == pytest.approx(dearest_usd)
    assert history.problem.grid.steps == 672 + 24
    kinds = ("block_power", "demand_charge", "take_or_pay", "energy_tiers", "coincident_peak", "carbon")
    assert all(any(getattr(site, kind) for site in history.problem.fleet.sites) for kind in kinds), "one of every contract"


@needs_data
def test_prices_in_euros_reach_back_far_enough_to_learn_from():
    """On the first morning the hours after midnight are not auctioned yet: a model must have had a year to learn them from."""
    history = load(spec_of("germany-2022", days=2), Path(os.environ["WATTSPLIT_DATA"]))
    grid = part_of(history.problem.grid, 6, 24)
    told, naive = Model().forecast(history, "price.DE_LU", 6, grid), Naive().price(history, "DE_LU", grid)
    came = np.array(history.problem.prices_usd_per_mwh["DE_LU"][6:30])
    assert told.mean[:18] == pytest.approx(came[:18], abs=1e-3)
    assert told.model == "lear 1"
    assert np.abs(np.array(told.mean) - came)[18:].mean() < 1.5 * np.abs(naive - came)[18:].mean()


@needs_data
def test_models_beat_the_naive_rule_or_stand_beside_it_and_see_no_future():
    """Trained on what was known when the period began; a poisoned future changes nothing."""
    history = load(spec_of("germany-2022", days=7), Path(os.environ["WATTSPLIT_DATA"]))
    at = history.problem.grid.starts[30]

    def cut(one: Timed) -> Timed:
        values = np.where(one.known_s > seconds(at), 11.0, one.values)
        return Timed(one.name, one.unit, one.zone, one.step_s, one.starts_s, one.known_s, values)

    poisoned = replace(history, past={name: cut(one) for name, one in history.past.items()}, network=None)
    plain = replace(history, network=None)
    model = Model().families(plain, 30, 24)
    assert model == Model().families(poisoned, 30, 24)
    came = np.array(history.problem.prices_usd_per_mwh["DE_LU"][30:54])
    known = np.array(model.prices_usd_per_mwh["DE_LU"])
    assert known[:17] == pytest.approx(came[:17]), "6:00 of the second day: the auction has told that day"
