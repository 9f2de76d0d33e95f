"""Carrying out the first steps of plans and joining them leaves one lawful plan, from any state, broken off or not."""

from datetime import timedelta
from random import Random

import pytest
from by_hand import START, cohorts, group, pool, problem, site
from worlds import world

from models.service_level import PeriodWork, ServiceLevel
from models.state import GroupState, Lot, PoolState
from models.workload import BatchWorkload, InteractiveWorkload
from optimizer.fallback import rule_plan
from optimizer.solve import optimise
from scenarios.advance import CARRIED, NotCarriedError, advance, refuse_unknown
from scenarios.rolling import Course, roll, window

HOUR = timedelta(hours=1)


def test_the_oldest_stop_first_and_those_at_rest_for_long_start_first():
    machines = group(blocks=4, min_up_s=7200, min_down_s=7200, max_starts_per_day=5)
    known = GroupState(mode_blocks={"eco": 2}, started=cohorts((1, 90_000), (1, 600)), stopped=cohorts((1, 300)), starts_today=1)
    of = problem(site(asic_groups=(machines,)), step_s=(3600,) * 3, groups={"row": known}, draw_w=60_000)
    plan = rule_plan(of, START)
    counts = plan.sites["pecos"].groups["row"].model_copy(update={"mode_blocks": {"eco": (1, 1, 0), "turbo": (0, 1, 3)}})
    made = plan.sites["pecos"].model_copy(update={"groups": {"row": counts}})
    after = advance(of, plan.model_copy(update={"sites": {"pecos": made}}), 3).sites["pecos"].groups["row"]
    # one of 25 hours stops at 0; one at rest for ever starts at 1, that of 5 minutes before the plan at 2; nothing holds two now
    assert after.mode_blocks == {"turbo": 3}
    assert [(c.count, (c.since - START) / HOUR) for c in after.started] == [(2, 1.0), (1, 2.0)]
    assert after.starts_today == 3


def test_the_meter_counts_by_month_and_energy_by_time():
    of = problem(site(asic_groups=(group(),)), step_s=(3600, 900), hashprice=90.0)
    plan = rule_plan(of, START)
    draw_w = plan.sites["pecos"].draw_w
    now = advance(of, plan, 2).sites["pecos"]
    assert now.months["2026-01"].peak_w == max(draw_w)
    assert now.months["2026-01"].energy_wh == draw_w[0] + draw_w[1] // 4
    assert (now.draw_w, now.source) == (draw_w[1], "commanded")


def test_batch_work_waits_by_its_due_date():
    batch = BatchWorkload(
        name="train", model="llama", price_usd_per_mwork=2.0, deadline_s=7200, late_usd_per_mwork_h=1.0,
        routing_usd_per_mwork={"texas": 0.0},
    )  # fmt: skip
    lots = (Lot(work=5_000_000, due=START + HOUR),)
    of = problem(
        site(gpu_pools=(pool(),)), workloads=(batch,), demand={"train": (4_000_000, 0)}, backlog={"train": lots},
        pools={"nodes": PoolState(started=cohorts((2, 90_000)))},
    )  # fmt: skip
    plan = optimise(of, gap=1e-4, budget_s=30, now=START).plan
    done = plan.sites["pecos"].pools["nodes"].work_per_h["train"][0]
    left = advance(of, plan).backlog.get("train", ())
    assert sum(lot.work for lot in left) == 9_000_000 - done
    assert all(lot.due == START + 3 * HOUR for lot in left), "the older lot is done first"


def test_a_service_level_goes_on_within_its_period_and_begins_anew_after_it():
    """Noon of 5 January in UTC is 01:00 of the 6th in Auckland; there the day ends with the 23rd hour."""
    level = ServiceLevel(served_ppm=990_000, period="day", zone="Pacific/Auckland", shortfall_usd_per_mwork=1.0)
    chat = InteractiveWorkload(
        name="chat", model="llama", price_usd_per_mwork=0.0, unserved_usd_per_mwork=2.0, routing_usd_per_mwork={"texas": 0.0},
        service_level=level,
    )  # fmt: skip
    of = problem(site(gpu_pools=(pool(nodes=1),)), workloads=(chat,), demand={"chat": (4_000_000,) * 24}, step_s=(3600,) * 24)
    counted = {"chat": {"2026-01-06": PeriodWork(demanded_work=50, served_work=20)}}
    of = of.model_copy(update={"state": of.state.model_copy(update={"service": counted})})
    plan = rule_plan(of, START)
    served = [4_000_000 - missing for missing in plan.workloads["chat"].unserved_work_per_h]
    assert 0 < sum(served) < 24 * 4_000_000
    after = advance(of, plan, 2).service["chat"]
    assert after == {"2026-01-06": PeriodWork(demanded_work=8_000_050, served_work=sum(served[:2]) + 20)}
    assert advance(of, plan, 24).service["chat"] == {"2026-01-07": PeriodWork(demanded_work=4_000_000, served_work=served[23])}


def test_a_state_with_more_in_it_than_is_carried_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(CARRIED, GroupState, frozenset(("mode_blocks", "started", "stopped")))
    refuse_unknown(problem(site(asic_groups=(group(),))))
    of = problem(site(asic_groups=(group(),)), groups={"row": GroupState(starts_today=2)})
    with pytest.raises(NotCarriedError, match=r"GroupState.starts_today = 2 is not carried"):
        refuse_unknown(of)


def joinable(seed):
    """A world in whole hours without what a run does not carry: pins, outages, orders and reserves."""
    of = world(Random(seed), sites=2, steps=6)
    free: dict = {"outages": (), "pins": (), "outlook": {}, "orders": (), "awards": (), "calls": ()}
    free = {name: nothing for name, nothing in free.items() if name in type(of).model_fields}
    sites = tuple(s.model_copy(update={"reserves": ()}) for s in of.fleet.sites)
    free["fleet"] = of.fleet.model_copy(update={"sites": sites})
    return type(of).model_validate(dict(of) | free | {"grid": of.grid.model_copy(update={"step_s": (3600,) * 6})})


@pytest.mark.parametrize("seed", range(8))
def test_windows_of_any_length_join_to_one_lawful_plan(seed):
    history = joinable(seed)
    rolled = roll(history, Course(steps=5, window=2 + seed % 3, budget_s=20))
    assert rolled.broken == ()
    assert len(rolled.replans) == 5


def test_a_run_that_was_broken_off_goes_on_and_comes_to_the_same(tmp_path):
    history = joinable(3)
    course = Course(steps=5, window=3, budget_s=20)
    whole = roll(history, course)
    seen = []

    class BrokenOffError(Exception):
        pass

    def tell(replan):
        seen.append(replan)
        if len(seen) == 2:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        roll(history, course, folder=tmp_path, tell=tell)
    with (tmp_path / "steps.jsonl").open("a") as file:
        file.write('{"torn')
    rest = []
    resumed = roll(history, course, folder=tmp_path, tell=rest.append)
    assert len(rest) == 3
    assert resumed.joined.sites == whole.joined.sites
    assert [r.stability for r in resumed.replans] == [r.stability for r in whole.replans]
    with pytest.raises(ValueError, match="take another folder"):
        roll(history, Course(steps=4, window=3, budget_s=20), folder=tmp_path)


def test_a_window_is_a_part_of_its_history():
    history = joinable(5)
    part = window(history, 2, 3, history.state.model_copy(update={"at": history.grid.starts[2]}))
    assert part.grid.start == history.grid.starts[2]
    assert part.hashprice_usd_per_ph_day == history.hashprice_usd_per_ph_day[2:5]
