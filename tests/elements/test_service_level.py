"""Service levels alone, on figures worked out by hand."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from by_hand import alone, pool, problem, site, solved, usd, values
from worlds import START, world

from models.service_level import PeriodWork, ServiceLevel
from models.workload import InteractiveWorkload, ReservedWorkload
from optimizer.audit import audit
from optimizer.contribution import Contribution
from optimizer.elements.service_level import service_levels
from optimizer.elements.workload import inference_demand, unserved
from optimizer.fallback import rule_plan
from optimizer.formulation import build
from optimizer.held import joined, without
from optimizer.solve import optimise

M = 1_000_000
HOUR, DAY_H = 3600, 24
CHAT = InteractiveWorkload(
    name="chat", price_usd_per_mwork=2.0, routing_usd_per_mwork={"texas": 0.0}, model="llama", unserved_usd_per_mwork=0.0
)
EVENING = datetime(2026, 1, 6, 4, tzinfo=UTC)  # 22:00 in Chicago: two hours before midnight


def of_level(demand, *, served_ppm=900_000, period="day", counted=None, start=EVENING, step_s=(HOUR,) * 4, workload=CHAT):
    level = ServiceLevel(served_ppm=served_ppm, period=period, zone="America/Chicago", shortfall_usd_per_mwork=5.0)
    workload = workload.model_copy(update={"service_level": level})
    of = problem(site(gpu_pools=(pool(),)), workloads=[workload], demand={workload.name: demand}, start=start, step_s=step_s)
    state = of.state.model_copy(update={"service": {workload.name: counted or {}}})
    return type(of).model_validate({**dict(of), "state": state})


def told(of, *left_out):
    """Missing by period, and money by step, where so many Mwork/h are left unserved."""

    def declare(model):
        demand = inference_demand(model)
        level = service_levels(model, unserved)
        return Contribution(money=(*demand.money, *level.money))

    compiled = alone(declare, of)
    x = solved(compiled, unserved=[left_out])
    missing = values(compiled, x, "missing").round(9).tolist()
    return dict(zip(compiled.column_families["missing"].labels[0], missing, strict=True)), usd(compiled, x, "service_shortfall")


def test_a_day_that_ends_inside_the_horizon_settles_whole():
    """Of 100 + 20 Mtok asked, 108 are due; 85 + 16 are served, 7 are missing for 35 USD, half of it in each hour."""
    counted = {"2026-01-05": PeriodWork(demanded_work=100 * M, served_work=85 * M)}
    of = of_level((12 * M, 8 * M, 9 * M, 9 * M), counted=counted)
    missing, cost = told(of, 4, 0, 0, 0)
    assert missing == {"chat 2026-01-05": 7, "chat 2026-01-06": 0}
    assert cost == pytest.approx([-17.5, -17.5, 0, 0])


def test_what_was_served_beyond_the_level_may_be_missing_now():
    counted = {"2026-01-05": PeriodWork(demanded_work=100 * M, served_work=98 * M)}
    of = of_level((12 * M, 8 * M, 0, 0), counted=counted)
    assert told(of, 10, 0, 0, 0)[0]["chat 2026-01-05"] == 0
    assert told(of, 12, 1, 0, 0)[0]["chat 2026-01-05"] == 3


def test_a_period_that_reaches_past_the_horizon_owes_by_the_time_that_is_left():
    """2 of the 24 hours of the next day are seen; of the 5 days and 2 hours left of a month 4 hours, 10 Mtok owed before."""
    of = of_level((0, 0, 10 * M, 10 * M))
    missing, cost = told(of, 0, 0, 3, 1)
    assert missing["chat 2026-01-06"] == 2
    assert cost == pytest.approx([0, 0, -5, -5])
    start = datetime(2026, 1, 27, 4, tzinfo=UTC)
    counted = {"2026-01": PeriodWork(demanded_work=100 * M, served_work=80 * M)}
    of = of_level((0, 0, 10 * M, 10 * M), period="month", counted=counted, start=start)
    missing, cost = told(of, 0, 0, 3, 1)
    assert missing == {"chat 2026-01": pytest.approx(2 + 10 * 4 / (5 * DAY_H + 2))}
    assert cost == pytest.approx([-(2 + 10 * 4 / 122) * 5 / 4] * 4)


def test_a_step_across_midnight_counts_on_both_days_by_time():
    """A step of an hour and a half that begins half an hour before midnight, then one hour."""
    of = of_level((10 * M, 6 * M), step_s=(5400, HOUR), start=EVENING + timedelta(minutes=90))
    missing, cost = told(of, 3, 0)
    assert missing == {"chat 2026-01-05": 1.5 - 0.5, "chat 2026-01-06": 3 - 1 - 0.6}
    assert cost == pytest.approx([-5 * 1 - 5 * 1.4 / 2, -5 * 1.4 / 2])


def test_a_day_of_25_hours_is_known_by_its_zone():
    start = datetime(2026, 11, 1, 5, tzinfo=UTC)  # midnight in Chicago; 30 hours later it is 05:00
    of = of_level((10 * M,) * 30, start=start, step_s=(HOUR,) * 30)
    missing, _ = told(of, *[2] * 30)
    assert missing == {"chat 2026-11-01": 25, "chat 2026-11-02": 5}


def test_rented_nodes_have_levels_too_and_others_have_none():
    rent = ReservedWorkload(
        name="rent", price_usd_per_mwork=3.0, routing_usd_per_mwork={"texas": 0.0}, gpu_type="h100", unserved_usd_per_mwork=4.0
    )
    assert told(of_level((2 * M,) * 4, workload=rent), 2, 0, 0, 0)[0]["rent 2026-01-05"] == 2 - 0.4
    bare = problem(site(), workloads=[CHAT], demand={"chat": (M, M)})
    assert build(bare).columns["missing"].size == 0


@pytest.mark.parametrize(("usd_per_mwork", "nodes"), [(0.6, 0), (0.8, 1)])
def test_work_that_loses_money_is_served_where_the_level_pays_for_it(usd_per_mwork, nodes):
    """A node of 10 kW at 600 USD/MWh costs 6.00 USD an hour and earns 3.60 with 3.6 Mtok: 0.67 USD/Mtok are missing to it."""
    level = ServiceLevel(served_ppm=M, period="month", zone="UTC", shortfall_usd_per_mwork=usd_per_mwork)
    chat = CHAT.model_copy(update={"price_usd_per_mwork": 1.0, "service_level": level})
    dear = site(gpu_pools=(pool(nodes=1),)).model_dump() | {"contract": {"kind": "fixed", "price_usd_per_mwh": 600.0}}
    of = problem(type(site()).model_validate(dear), workloads=[chat], demand={"chat": (3_600_000,) * 2})
    compiled = build(of)
    x = solved(compiled)
    assert values(compiled, x, "nodes_on").round().tolist() == [[nodes, nodes]]
    result = optimise(of, gap=0.0, budget_s=20, now=of.grid.start)
    assert result.ending == "planned", result.why
    expected = {0: 2 * -3.6 * usd_per_mwork, 1: 2 * (3.6 - 6.0)}[nodes]
    assert result.plan.profit_usd == pytest.approx(expected, abs=1e-4)


def test_the_rest_of_a_fleet_knows_what_held_sites_serve():
    """Money of the rest and of the held sites adds up to that of the whole: the level is told what is done elsewhere."""
    tried = 0
    for seed in range(60):
        of = world(Random(seed), sites=3, steps=4)
        if not of.state.service:
            continue
        plan = rule_plan(of, START)
        held = [of.fleet.sites[0].name]
        rest_of = without(of, held, plan)
        rest = rule_plan(rest_of, START)
        whole = joined(of, rest, dict.fromkeys(held, plan.basis), plan)
        assert audit(of, whole).passed
        for name in rest_of.state.service:
            short = [sum(sum(m.usd) for m in p.money if (m.term, m.owner) == ("service_shortfall", name)) for p in (rest, whole)]
            assert short[0] == pytest.approx(short[1], abs=1e-4)
            tried += any(short)
    assert tried >= 5


def test_levels_and_states_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="expected at most demanded_work 3, got 4"):
        PeriodWork(demanded_work=3, served_work=4)
    with pytest.raises(ValueError, match=r"state.service.chat: expected a local day for each entry, got \['2026-01'\]"):
        of_level((0,) * 4, counted={"2026-01": PeriodWork()})
    with pytest.raises(ValueError, match=r"state.service.chat: expected a local month .*, got \['2026-01-05'\]"):
        of_level((0,) * 4, counted={"2026-01-05": PeriodWork()}, period="month")
    of = problem(site(), workloads=[CHAT], demand={"chat": (0, 0)})
    state = of.state.model_copy(update={"service": {"chat": {}}})
    with pytest.raises(ValueError, match=r"state.service: unknown \['chat'\]"):
        type(of).model_validate({**dict(of), "state": state})
