"""Futures are complete or refused, every fault in words; tails and means are exact."""

from random import Random

import pytest
from chances import futures_of
from worlds import world

from models.futures import CERTAIN_PPM, Future, Futures, Risk
from models.reading import BadInputError, parse

BASE = world(Random(4), sites=2, steps=4)
RAW = futures_of(Random(1), BASE).model_dump(mode="json")


def without(name):
    return {key: value for key, value in RAW.items() if key != name}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (without("recourse_after_s"), "/recourse_after_s"),
        (RAW | {"set_points_s": 600}, "greater than or equal to 3600"),
        (RAW | {"scenarios": []}, "/scenarios"),
        (RAW | {"scenarios": RAW["scenarios"][:2]}, f"add up to {CERTAIN_PPM}, got"),
        (RAW | {"scenarios": [RAW["scenarios"][0] | {"probability_ppm": 0}]}, "greater than 0"),
        (RAW | {"scenarios": [RAW["scenarios"][0] | {"probability_ppm": 0.5}]}, "/scenarios/0/probability_ppm"),
        (RAW | {"scenarios": [s | {"name": "same"} for s in RAW["scenarios"]]}, "names must differ, got ['same'] twice"),
        (RAW | {"scenarios": [RAW["scenarios"][0] | {"limit_w": {}}]}, "/scenarios/0/limit_w"),
    ],
)
def test_what_is_no_futures_is_refused_with_its_fault(content, told):
    with pytest.raises(BadInputError) as refused:
        parse(Futures, content)
    assert told in str(refused.value)


def test_futures_survive_a_round_trip():
    futures = parse(Futures, RAW)
    assert Futures.model_validate_json(futures.model_dump_json()) == futures
    assert futures.digest == parse(Futures, RAW).digest


def test_series_that_do_not_fit_the_problem_are_told_all_at_once_with_their_places():
    one = Future(
        name="odd", probability_ppm=CERTAIN_PPM, hashprice_usd_per_ph_day=(50.0,),
        prices_usd_per_mwh={"nowhere": (1.0,) * 4}, demand_work_per_h=dict.fromkeys(BASE.demand_work_per_h, (1,) * 5),
    )  # fmt: skip
    with pytest.raises(BadInputError) as refused:
        Futures(name="odd", recourse_after_s=0, scenarios=(one,)).problems(BASE)
    told = {refusal.pointer: refusal.detail for refusal in refused.value.refusals}
    assert told["/scenarios/0/hashprice_usd_per_ph_day"].endswith("expected 4 values, one per step, got 1")
    assert "expected one of" in told["/scenarios/0/prices_usd_per_mwh/nowhere"]
    assert len(told) == 2 + len(BASE.demand_work_per_h)


def test_a_scenario_in_which_nothing_is_other_is_the_base_problem_itself():
    same = Future(name="same", probability_ppm=CERTAIN_PPM, ambient_c=BASE.ambient_c)
    assert Futures(name="same", recourse_after_s=0, scenarios=(same,)).problems(BASE) == [BASE]
    (other,) = Futures(
        name="other", recourse_after_s=0,
        scenarios=(Future(name="o", probability_ppm=CERTAIN_PPM, hashprice_usd_per_ph_day=(1.0,) * 4),),
    ).problems(BASE)  # fmt: skip
    assert other.labels == (*BASE.labels, "what-if")
    assert other.hashprice_usd_per_ph_day == (1.0,) * 4


@pytest.mark.parametrize(
    ("level", "usd"),
    [(0.0, 25.0), (0.5, -10.0), (0.75, -40.0), (0.8, -40.0), (0.625, -20.0)],  # the last: (2 x -40 + 1 x 20) / 3
)
def test_the_tail_counts_a_profit_across_its_edge_by_the_part_within(level, usd):
    quarters = [(250_000, 60.0), (250_000, -40.0), (250_000, 20.0), (250_000, 60.0)]
    assert Risk(level_share=level).cvar_usd(quarters) == pytest.approx(usd)
