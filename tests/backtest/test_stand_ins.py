"""Hours in which a plain rule stood in for a model are counted, by family and reason, also of a run that was broken off."""

import json
from dataclasses import replace

import numpy as np
import pytest
from backtest.by_the_hour import START, history

from scenarios.backtest.histories import spec_of
from scenarios.backtest.history import PRICE
from scenarios.backtest.knowledge import StoodIn, see_through
from scenarios.backtest.modelled import MOST_BLENDED, Model
from scenarios.backtest.records import StandIn
from scenarios.backtest.run import CancelledError, run
from scenarios.backtest.stand_ins import StandIns
from scenarios.local_clock import HOUR_S, seconds

SPEC = spec_of("storm", steps=4, sites=1, window_steps=3, gap=1e-2, policies=("plan",))


@pytest.fixture(scope="module")
def counted() -> tuple[StandIn, ...]:
    return run(SPEC).result("plan").stand_ins


def test_every_hour_of_five_days_of_prices_is_told_by_the_rule_and_says_why(counted):
    by_family = {one.family: one for one in counted}
    price = by_family["price"]
    assert (price.reason, price.hours, price.series) == ("unanswered", 4.0, ("ERCOT_HB_WEST",)), (
        "prices learn a time of day when they are first asked for it"
    )
    assert price.words
    assert (by_family["hashprice"].reason, by_family["hashprice"].hours) == ("untrained", 4.0)


def test_an_hour_counts_once_however_many_series_of_the_family_it_is_of():
    noted = StandIns(None)
    for step, names in enumerate([("price.A", "price.B"), ("price.B",), ()]):
        noted.note(step, dict.fromkeys(names, ("unanswered", "a gap")))
    (price,) = noted.counted([1.0, 1.0, 1.0])
    assert (price.hours, price.series) == (2.0, ("A", "B"))


def test_a_run_that_goes_on_counts_what_was_noted_before(counted, tmp_path):
    steps = []
    with pytest.raises(CancelledError):
        run(SPEC, folder=tmp_path, tell=lambda p: steps.append(p.done_steps), cancelled=lambda: len(steps) >= 2)
    file = tmp_path / "plan" / "stand_ins.jsonl"
    file.write_text(file.read_text()[:-9])  # cut within its last line, as a kill leaves it; its step is done anew
    lines = (tmp_path / "plan" / "steps.jsonl").read_text().splitlines()
    noted = len(file.read_text().splitlines())
    (tmp_path / "plan" / "steps.jsonl").write_text("\n".join(lines[:noted]) + "\n")
    assert run(SPEC, folder=tmp_path).result("plan").stand_ins == counted


def test_who_needs_no_model_has_no_stand_in():
    assert run(SPEC.model_copy(update={"knowledge": "naive"})).result("plan").stand_ins == ()


DAILY = [40.0 + 20.0 * np.sin(hour / 24 * 2 * np.pi) for hour in range(24)]


def test_a_model_that_was_trained_stands_for_itself_until_it_cannot_answer():
    """Ninety days are enough to learn from; an hour that its record then lacks leaves the temperature without its model."""
    whole = history(DAILY, before=DAILY * 90)
    assert set(Model().families(whole, 0, 24).stood_in) == {"hashprice"}
    air = whole.past["ambient.air"]
    torn = replace(whole, past=dict(whole.past) | {"ambient.air": air._where(air.starts_s != seconds(START) - 5 * HOUR_S)})
    told: list[tuple[int, StoodIn]] = []
    see = see_through(torn, Model(), lambda first, why: told.append((first, why)))
    seen = see(0, 24, torn.problem.state, {})
    assert told[0][0] == 0
    assert told[0][1]["ambient.air"][0] == "unanswered"
    assert "expected the 24 hours before" in told[0][1]["ambient.air"][1]
    assert seen.ambient_c["air"] == (15.0,) * 24, "the rule's: yesterday's, or the day's before"


def test_a_window_that_is_longer_than_models_look_says_so():
    long = history([30.0] * (MOST_BLENDED + 1))
    assert Model().families(long, 0, MOST_BLENDED + 1).stood_in[PRICE + "HUB"][0] == "long_window"


def test_notes_of_a_step_that_is_done_anew_replace_the_old_ones(tmp_path):
    noted = StandIns(tmp_path)
    noted.note(0, {"price.A": ("untrained", "too few"), "price.B": ("unanswered", "a gap")})
    noted.note(1, {"price.B": ("unanswered", "a gap")})
    noted.note(0, {"price.A": ("untrained", "too few")})
    again = StandIns(tmp_path).counted([1.0, 0.5])
    assert [(one.reason, one.hours, one.series) for one in again] == [("unanswered", 0.5, ("B",)), ("untrained", 1.0, ("A",))]
    assert len([json.loads(line) for line in (tmp_path / "stand_ins.jsonl").read_text().splitlines()]) == 2
