"""Outages take machines out of service for whole steps; pins hold exact counts until they expire or must give way."""

from datetime import timedelta
from io import StringIO

import pytest
from by_hand import START, cohorts, group, pool, problem, site
from rich.console import Console

from models.availability import Outage, Pin
from models.order import LimitOrder
from models.state import GroupState, PoolState
from optimizer.audit import audit
from optimizer.fallback import carry_over, rule_plan, safe_plan
from optimizer.recovery import recover
from optimizer.solve import optimise
from service.cli.tables import show_plan

FOUR = group(blocks=4)
RUNNING = {"row": GroupState(mode_blocks={"eco": 4}, started=cohorts((4, 90_000)))}
HOURS = (3600, 3600, 3600, 3600)


def outage(count, begins_s=0, ends_s=None, machine="row"):
    end = None if ends_s is None else START + timedelta(seconds=ends_s)
    start = START + timedelta(seconds=begins_s)
    return Outage(name=f"out-{begins_s}-{machine}", site="pecos", machine=machine, count=count, start=start, end=end)


def pin(count, hours=2.0, mode=None, machine="row", name="pin"):
    expires = START + timedelta(hours=hours)
    return Pin(name=name, owner="ann", site="pecos", machine=machine, mode=mode, count=count, expires=expires)


def one_site(of=FOUR, state=RUNNING, **more):
    return problem(site(asic_groups=(of,), **more.pop("site", {})), step_s=HOURS, groups=state, draw_w=120_000, **more)


def plans(of):
    """Plans of every origin, each audited."""
    found = [rule_plan(of, START), safe_plan(of, START)]
    result = optimise(of, gap=1e-6, budget_s=20, now=START)
    assert result.ending == "planned", result.why
    for plan in (*found, result.plan):
        assert audit(of, plan).broken == ()
    return [*found, result.plan]


def on(plan, machine="row"):
    return [sum(counts) for counts in zip(*plan.sites["pecos"].groups[machine].mode_blocks.values(), strict=True)]


def test_a_step_that_an_outage_touches_is_without_its_blocks():
    """At 48 USD/PH/day a block earns 2 to 3 USD an hour for at most 50 kW at 60 USD/MWh: all run that can."""
    rule, safe, best = plans(one_site(outages=[outage(3, begins_s=4_000, ends_s=7_201)], hashprice=60.0))
    assert on(best) == [4, 1, 1, 4]
    assert on(rule) == [4, 1, 1, 4]
    assert max(on(safe)) <= 4


def test_outages_add_up_and_never_below_nothing():
    assert on(plans(one_site(outages=[outage(3), outage(2, begins_s=1)], hashprice=60.0))[2]) == [0, 0, 0, 0]


def test_blocks_are_not_started_that_an_outage_would_stop_before_their_minimum_run():
    """A start in the hour before the outage cannot run its two hours."""
    off = {"row": GroupState()}
    of = one_site(group(blocks=4, min_up_s=7200), off, outages=[outage(4, begins_s=3600, ends_s=7200)], hashprice=60.0)
    assert on(plans(of)[2]) == [0, 0, 4, 4]


def test_young_blocks_that_go_out_of_service_stop_and_the_plan_says_so():
    young = {"row": GroupState(mode_blocks={"eco": 4}, started=cohorts((4, 60)))}
    of = one_site(group(blocks=4, min_up_s=7200), young, outages=[outage(3)])
    assert [(r.rule, r.step, r.shortfall, r.unit) for r in recover(of).records] == [("min_up", 0, 3, "blocks")]
    assert "1 are in service" in recover(of).records[0].words
    plans(of)


def test_a_pinned_mode_holds_exactly_so_many_blocks_and_leaves_the_others_free():
    best = plans(one_site(pins=[pin(3, mode="eco")], hashprice=60.0))[2]
    assert best.sites["pecos"].groups["row"].mode_blocks["eco"] == (3, 3, 0, 0)
    assert best.sites["pecos"].groups["row"].mode_blocks["turbo"] == (1, 1, 4, 4)


def test_a_pin_holds_in_every_step_that_begins_before_it_expires():
    for plan in plans(one_site(pins=[pin(1, hours=1.001)], hashprice=60.0)):
        assert on(plan)[:2] == [1, 1]


def test_a_pin_of_a_mode_holds_against_the_money():
    for plan in plans(one_site(pins=[pin(2, mode="turbo")], hashprice=1.0)):
        assert plan.sites["pecos"].groups["row"].mode_blocks["turbo"][:2] == (2, 2)


def test_pinned_nodes_stay_on_without_any_work():
    on_now = {"nodes": PoolState(started=cohorts((1, 90_000)))}
    of = problem(site(gpu_pools=(pool(load_s=600, min_up_s=5400),)), step_s=HOURS, pools=on_now, pins=[pin(3, machine="nodes")])
    for plan in plans(of):
        assert plan.sites["pecos"].pools["nodes"].nodes_on[:2] == (3, 3)


def told(of):
    return [(r.rule, r.step, r.shortfall, r.unit) for r in recover(of).records]


def order(limit_w, begins_h):
    return LimitOrder(name="cut", site="pecos", start=START + timedelta(hours=begins_h), limit_w=limit_w)


@pytest.mark.parametrize(
    ("pinned", "more", "ends"),
    [
        (pin(4, hours=4), {"outages": [outage(1, begins_s=7200)]}, 2),
        (pin(4, hours=4, mode="turbo"), {"orders": [order(199_999, 1)]}, 1),
        (pin(4, hours=4, mode="turbo"), {"orders": [order(200_000, 1)]}, None),
        (pin(4, hours=4), {"limits": {"pecos": (1_000_000, 1_000_000, 1_000_000, 0)}, "site": {"base_load_w": 1}}, 3),
        (pin(0, hours=4), {"limits": {"pecos": (1_000_000, 1_000_000, 0, 0)}, "site": {"base_load_w": 1}}, None),
    ],
)
def test_physics_and_grid_limits_outrank_a_pin(pinned, more, ends):
    of = one_site(pins=[pinned], **more)
    assert told(of) == ([] if ends is None else [("pin", ends, pinned.count, "blocks")])
    plans(of)


def test_a_pin_that_would_start_blocks_which_could_not_run_their_minimum_never_holds():
    idle = {"row": GroupState()}
    of = one_site(group(blocks=4, min_up_s=7200), idle, pins=[pin(2, hours=1)], orders=[order(50_000, 1)])
    assert told(of) == [("pin", 0, 2, "blocks")]
    plans(of)
    assert told(one_site(group(blocks=4, min_up_s=7200), idle, pins=[pin(2, hours=1)], orders=[order(60_000, 1)])) == []


def test_blocks_that_must_run_on_beside_a_pinned_mode_take_another():
    young = {"row": GroupState(mode_blocks={"eco": 4}, started=cohorts((4, 60)))}
    of = one_site(group(blocks=4, min_up_s=7200), young, pins=[pin(1, mode="eco")])
    assert told(of) == []
    for plan in plans(of):
        assert [c[:2] for c in plan.sites["pecos"].groups["row"].mode_blocks.values()] == [(1, 1), (3, 3)]
    assert told(one_site(group(blocks=4, min_up_s=7200), young, pins=[pin(3)])) == [("pin", 0, 3, "blocks")]


def test_the_ramp_outranks_the_pins_of_a_site():
    """120 kW fall to nothing at most by 60 kW an hour, less one block."""
    of = one_site(pins=[pin(0)], site={"ramp_w_per_min": 1_000 + 50_000 // 60})
    assert told(of) == [("pin", 0, 0, "blocks")]
    plans(of)


def test_an_old_plan_that_today_takes_blocks_out_of_is_given_up():
    of = one_site(hashprice=60.0)
    old = optimise(of, gap=1e-6, budget_s=20, now=START).plan
    assert carry_over(of, old, START) is not None
    assert carry_over(one_site(hashprice=60.0, outages=[outage(2)]), old, START) is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"outages": [outage(1, machine="gone")]}, "outages: out-0-gone is for unknown machine pecos/gone"),
        ({"outages": [outage(5)]}, "outages: out-0-row is for 5 of pecos/row, which has 4"),
        ({"pins": [pin(1, mode="warp")]}, r"pins: pin: expected a mode of pecos/row .*got 'warp'"),
        ({"pins": [pin(1), pin(2, name="other")]}, "pins: expected at most one for a machine, got more for .*pecos/row"),
    ],
)
def test_entries_that_fit_no_machine_are_refused(more, words):
    with pytest.raises(ValueError, match=words):
        one_site(**more)


def test_the_starts_of_the_day_bind_every_plan_and_pins_too():
    """Three of four starts are spent: one block may still start, and the day is over after six hours."""
    spent = {"row": GroupState(starts_today=3)}
    capped = group(blocks=4, max_starts_per_day=1)
    for plan in plans(one_site(capped, spent, hashprice=60.0)):
        assert max(on(plan)) <= 1
    assert told(one_site(capped, spent, pins=[pin(2)])) == [("pin", 0, 2, "blocks")]
    assert told(one_site(capped, spent, pins=[pin(1)])) == []
    plans(one_site(capped, spent, pins=[pin(1)]))


def test_heat_stops_young_blocks_where_no_mode_may_run_and_ends_pins_of_barred_modes():
    eco, turbo = FOUR.modes
    young = {"row": GroupState(mode_blocks={"turbo": 4}, started=cohorts((4, 60)))}
    shut = group(blocks=4, min_up_s=7200, modes=tuple(m.model_copy(update={"max_ambient_c": 35.0}) for m in (eco, turbo)))
    of = one_site(shut, young, ambient=36.0)
    assert told(of) == [("min_up", 0, 4, "blocks")]
    plans(of)
    slower = group(blocks=4, min_up_s=7200, modes=(eco, turbo.model_copy(update={"max_ambient_c": 35.0})))
    of = one_site(slower, young, ambient=36.0, pins=[pin(2, mode="turbo")])
    assert told(of) == [("pin", 0, 2, "blocks")]
    for plan in plans(of):
        assert on(plan)[:2] == [4, 4]
        assert not any(plan.sites["pecos"].groups["row"].mode_blocks["turbo"])


def test_a_pin_of_none_in_a_mode_that_is_too_hot_leaves_others_to_run():
    eco, turbo = FOUR.modes
    slower = group(blocks=4, min_up_s=7200, modes=(eco, turbo.model_copy(update={"max_ambient_c": 35.0})))
    young = {"row": GroupState(mode_blocks={"eco": 1}, started=cohorts((1, 60)))}
    of = one_site(slower, young, ambient=36.0, pins=[pin(0, mode="turbo")])
    assert told(of) == []
    plans(of)


def test_what_gives_way_is_named_by_owner_and_machine_not_by_an_id_and_printed_once():
    of = one_site(outages=[outage(3)], pins=[pin(3, mode="eco", name="pin-19ce5d7d0a6b4f0f8f3a4f5ab9e0c2d1")])
    words = "row: ann's pin to 3 eco no longer holds, since fewer blocks are in service, or fewer may stop"
    assert [record.words for record in recover(of).records] == [words]
    for plan in plans(of):
        console = Console(record=True, width=200, file=StringIO())
        show_plan(plan, console)
        shown = console.export_text()
        assert shown.count(words) == 1
        assert "19ce5d7d" not in shown
