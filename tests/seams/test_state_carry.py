"""The state that a plan begins with: what was measured, else acknowledged, else commanded; never older than it looks."""

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seams.fleets import NOON, small_fleet
from worlds import world

from models.billing import MonthTotals
from models.plan import GroupPlan, Plan, PoolPlan, Proof, SitePlan
from models.problem import Problem
from models.service_level import PeriodWork
from models.state import Cohort, GroupState, Lot, PoolState, SiteState, State
from models.time_grid import hourly, local_date, local_midnight
from scenarios.feed import initial_state
from service.in_force import InForce, in_force, segments
from service.ledger import Ledger
from service.slots import grid_from
from service.state_carry import Observed, carried_state
from service.store.records import TelemetryPoint, WorkDone

MIN = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LONG_AGO = NOON - timedelta(days=1)


def machines(eco: int, nodes: int, since: datetime = LONG_AGO) -> SiteState:
    return SiteState(
        draw_w=100_000,
        groups={
            "row": GroupState(mode_blocks={"eco": eco} if eco else {}, started=(Cohort(count=eco, since=since),) if eco else ())
        },
        pools={"h100": PoolState(started=(Cohort(count=nodes, since=since),) if nodes else ())},
        as_of=since,
    )


def standing(
    version: int, start: datetime, eco: tuple[int, ...], nodes: tuple[int, ...] | None = None, *, begins: SiteState | None = None,
    backlog: tuple[Lot, ...] = (), served: int = 0, chat: int = 0,
) -> InForce:  # fmt: skip
    """A published plan of one site, whose counts by step are given."""
    fleet = small_fleet(1)
    steps = len(eco)
    grid = grid_from(start, steps)
    nodes = nodes or (2,) * steps
    demand = {"chat": 1_000, "nightly": 100, "rented": 0}
    state = State(
        at=start, sites={"pecos": begins or machines(eco[0], nodes[0])}, backlog={"nightly": backlog} if backlog else {}
    )
    problem = Problem(
        name="small",
        grid=grid,
        fleet=fleet,
        hashprice_usd_per_ph_day=(46.0,) * steps,
        prices_usd_per_mwh={"hub": (20.0,) * steps},
        ambient_c={"air": (10.0,) * steps},
        demand_work_per_h={name: (rate,) * steps for name, rate in demand.items()},
        state=state,
    )
    site = SitePlan(
        groups={"row": GroupPlan(mode_blocks={"eco": eco})},
        pools={"h100": PoolPlan(nodes_on=nodes, work_per_h={"nightly": (served,) * steps, "chat": (chat,) * steps})},
        draw_w=tuple(1_000_000 + e for e in eco),
        hashing_w=(0,) * steps,
        inference_w=(0,) * steps,
        limit_w=(3_400_000,) * steps,
    )
    plan = Plan(
        plan_id=f"plan-{version}",
        problem_name="small",
        problem_digest=problem.digest,
        grid=grid,
        basis="optimised",
        created_at=start,
        sites={"pecos": site},
        money=(),
        proof=Proof(objective_usd=0.0, status="optimal", wall_s=0.0),
    )
    return InForce(version, plan, problem)


def measured(at: datetime, eco: int, nodes: int = 2, draw_w: int = 777_000) -> TelemetryPoint:
    return TelemetryPoint(at=at, draw_w=draw_w, mode_blocks={"row": {"eco": eco}}, nodes_on={"h100": nodes})


def carry(plans, *, now, at, points=(), applied=(), refused=(), authority="control") -> SiteState:
    seen = {"pecos": Observed(points=tuple(points), applied=frozenset(applied), refused=frozenset(refused))}
    assumed = {"pecos": machines(0, 0)}
    fleet = small_fleet(1)
    fleet = fleet.model_copy(update={"sites": (fleet.sites[0].model_copy(update={"authority": authority}),)})
    return carried_state(fleet, plans, seen, now=now, at=at, assumed=assumed).sites["pecos"]


def test_a_fresh_measurement_beats_the_command_and_dates_the_trip():
    plan = standing(1, NOON, (8, 8, 8))
    state = carry([plan], now=NOON + 40 * MIN, at=NOON + HOUR, points=[measured(NOON + 5 * MIN, 8), measured(NOON + 38 * MIN, 6)])
    assert (state.source, state.as_of, state.draw_w) == ("measured", NOON + 38 * MIN, 777_000)
    assert state.groups["row"].mode_blocks == {"eco": 6}
    assert state.groups["row"].stopped == (Cohort(count=2, since=NOON + 38 * MIN),)


def test_advice_changes_nothing_until_the_site_says_that_it_took_it():
    plan = standing(1, NOON, (8, 4, 4), begins=machines(2, 1))
    facts = {"now": NOON + 40 * MIN, "at": NOON + HOUR, "authority": "advise"}
    ignored, taken = carry([plan], **facts), carry([plan], **facts, applied=(1,))
    assert (ignored.source, ignored.groups["row"].running) == ("assumed", 2)
    assert (taken.source, taken.groups["row"].running) == ("acknowledged", 8)


@pytest.mark.parametrize(("applied", "source"), [((1,), "acknowledged"), ((), "commanded")])
def test_without_a_fresh_measurement_the_command_is_believed_and_it_is_said_how_far(applied, source):
    plan = standing(1, NOON, (8, 8, 8))
    old = measured(NOON + 10 * MIN, 3)
    state = carry([plan], now=NOON + 40 * MIN, at=NOON + HOUR, points=[old], applied=applied)
    assert (state.source, state.groups["row"].running, state.draw_w) == (source, 8, 1_000_008)
    restarted = [c for c in state.groups["row"].started if c.since == NOON + 25 * MIN]
    assert restarted == [Cohort(count=5, since=NOON + 25 * MIN)], "what is believed to run again runs since then, not for ever"


def test_a_version_that_the_site_rejected_does_not_count_as_its_command():
    first, second = standing(1, NOON, (8, 8, 8)), standing(2, NOON + 20 * MIN, (2, 2, 2), begins=machines(8, 2))
    heard = carry([second, first], now=NOON + 22 * MIN, at=NOON + 23 * MIN)
    assert heard.groups["row"].running == 2
    refused = carry([second, first], now=NOON + 22 * MIN, at=NOON + 23 * MIN, refused=(2,))
    assert refused.groups["row"].running == 8


def test_commands_between_the_measurement_and_the_plan_are_carried_out_first_in_first_out():
    begins = machines(4, 2).model_copy(
        update={
            "groups": {
                "row": GroupState(
                    mode_blocks={"eco": 4}, started=(Cohort(count=3, since=LONG_AGO), Cohort(count=1, since=NOON - HOUR))
                )
            }
        }
    )
    plan = standing(1, NOON, (6, 3, 3), begins=begins)
    state = carry([plan], now=NOON + 30 * MIN, at=NOON + 90 * MIN, points=[measured(NOON + 28 * MIN, 6)])
    assert state.source == "commanded", "a command follows the measurement"
    row = state.groups["row"]
    assert row.mode_blocks == {"eco": 3}
    assert row.started == (Cohort(count=1, since=NOON - HOUR), Cohort(count=2, since=NOON))
    assert row.stopped == (Cohort(count=3, since=NOON + HOUR),)


def test_points_taken_while_a_command_is_being_carried_out_say_nothing():
    plan = standing(1, NOON, (8, 8, 8), begins=machines(4, 2))
    state = carry([plan], now=NOON + 2 * MIN, at=NOON + 3 * MIN, points=[measured(NOON + MIN, 5)])
    assert state.groups["row"].running == 8
    assert state.source == "commanded"


def test_telemetry_is_clipped_to_what_there_is():
    plan = standing(1, NOON, (8, 8, 8))
    wild = TelemetryPoint(
        at=NOON + 38 * MIN,
        draw_w=9_000_000_000,
        mode_blocks={"row": {"eco": 7, "normal": 900, "warp": 5}},
        nodes_on={"h100": 4_000},
    )
    state = carry([plan], now=NOON + 40 * MIN, at=NOON + HOUR, points=[wild])
    assert state.groups["row"].mode_blocks == {"eco": 7, "normal": 1}
    assert state.pools["h100"].nodes_on == 6
    assert state.draw_w < 4_000_000


def test_a_site_without_a_word_in_any_plan_is_assumed_and_says_so():
    state = carry([], now=NOON, at=NOON)
    assert (state.source, state.groups["row"].running) == ("assumed", 0)
    seen = carry([], now=NOON, at=NOON, points=[measured(NOON - 3 * MIN, 5)])
    assert (seen.source, seen.groups["row"].running) == ("measured", 5)


def test_batch_work_waits_until_it_is_served_the_first_due_first():
    lots = (Lot(work=30, due=NOON + HOUR), Lot(work=500, due=NOON + 5 * HOUR))
    plan = standing(1, NOON, (2, 2, 2), backlog=lots, served=80)
    state = carried_state(small_fleet(1), [plan], {}, now=NOON + 40 * MIN, at=NOON + 90 * MIN, assumed={"pecos": machines(0, 0)})
    waiting = state.backlog["nightly"]
    assert sum(lot.work for lot in waiting) == 30 + 500 + 100 + 50 - 80 - 40
    assert [lot.due for lot in waiting] == [NOON + 5 * HOUR, NOON + 7 * HOUR, NOON + 90 * MIN + 6 * HOUR]


def test_the_newest_version_that_has_begun_is_in_force():
    first, later, order = standing(1, NOON, (8,) * 4), standing(2, NOON + HOUR, (4,) * 4), standing(3, NOON + 56 * MIN, (2,) * 4)
    plans = [order, later, first]
    assert in_force(plans, NOON + 55 * MIN) is first
    assert in_force(plans, NOON + HOUR) is order, "a later version that began earlier supersedes"
    run = segments([later, first], NOON, NOON + 2 * HOUR)
    assert [(s.plan.version, s.step, s.end - s.start) for s in run] == [(1, 0, HOUR), (2, 0, HOUR)]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 400)), max_size=30))
def test_a_ledger_never_holds_a_machine_for_older_than_any_true_history_could(changes):
    """Whichever machines really trip, the ledger's k youngest are at least as young as the true k youngest."""
    rng = Random(repr(changes))
    ledger, at = Ledger(), NOON
    true = [(False, NOON - timedelta(days=1)) for _ in range(6)]
    for count, minutes in changes:
        at += minutes * MIN
        on = [i for i, (running, _) in enumerate(true) if running]
        if count < len(on):  # any of them may trip
            for i in rng.sample(on, len(on) - count):
                true[i] = (False, at)
        for i in sorted((i for i, m in enumerate(true) if not m[0]), key=lambda i: true[i][1])[: max(0, count - len(on))]:
            true[i] = (True, at)
        ledger.set_running(count, at)
    believed = sorted((c.since for c in ledger.started for _ in range(c.count)), reverse=True)
    really = sorted((since for running, since in true if running), reverse=True)
    assert len(believed) == len(really)
    assert all(b >= r for b, r in zip(believed, really, strict=True))


@given(st.integers(0, 2_000))
def test_a_carried_state_always_fits_its_fleet(seed):
    problem = world(Random(seed), sites=2, steps=4)
    grid = hourly(NOON, 4)
    rng = Random(seed)
    points = tuple(
        TelemetryPoint(
            at=NOON + rng.randint(-20, 60) * MIN,
            draw_w=rng.randint(0, 10**9),
            mode_blocks={g.name: {m.name: rng.randint(0, 9) for m in g.modes} for g in site.asic_groups},
            nodes_on={p.name: rng.randint(0, 9) for p in site.gpu_pools},
        )
        for site in problem.fleet.sites[:1]
        for _ in range(5)
    )
    seen = {problem.fleet.sites[0].name: Observed(points=tuple(sorted(points, key=lambda p: p.at)))}
    state = carried_state(problem.fleet, [], seen, now=NOON, at=NOON, assumed=problem.state.sites)
    carried = problem.model_copy(update={"grid": grid, "state": state, "orders": (), "outages": (), "pins": ()})
    Problem.model_validate_json(carried.model_dump_json())  # whole again: nothing of the state is refused


def test_starts_of_the_local_day_are_carried_and_begin_anew_at_midnight():
    """Ten in the evening in Chicago: four blocks start in the last hour of the day, two after midnight."""
    evening = NOON + 16 * HOUR
    plan = standing(1, evening, (4, 8, 6, 8), begins=machines(4, 2))
    site = plan.problem.fleet.sites[0]
    capped = site.model_copy(
        update={"asic_groups": tuple(g.model_copy(update={"max_starts_per_day": 2}) for g in site.asic_groups)}
    )
    fleet = plan.problem.fleet.model_copy(update={"sites": (capped,)})
    began = plan.problem.state.sites["pecos"]
    twice = began.model_copy(update={"groups": {"row": began.groups["row"].model_copy(update={"starts_today": 2})}})
    state = plan.problem.state.model_copy(update={"sites": {"pecos": twice}})
    plan = InForce(1, plan.plan, plan.problem.model_copy(update={"state": state}))

    def starts(hours):
        at = evening + hours * HOUR
        return carried_state(fleet, [plan], {}, now=evening, at=at, assumed={}).sites["pecos"].groups["row"].starts_today

    assert local_midnight(site.zone, local_date(site.zone, evening + 2 * HOUR)) == evening + 2 * HOUR
    assert [starts(hours) for hours in (0, 1, 1.5, 2, 3, 4)] == [2, 2, 6, 0, 0, 2]


def test_the_meter_is_counted_by_what_was_measured_else_commanded():
    plan = standing(1, NOON, (8, 8, 8))  # commands 1,000,008 W
    points = [measured(NOON + 15 * MIN, 8, draw_w=1_200_000), measured(NOON + 30 * MIN, 8, draw_w=900_000)]
    month = carry([plan], now=NOON + 40 * MIN, at=NOON + HOUR, points=points).months[f"{NOON:%Y-%m}"]
    assert month.peak_w == 1_200_000
    assert month.energy_wh == 250_002 + 300_000 + 450_000


def test_a_spike_counts_by_its_quarter_of_an_hour_and_months_before_are_kept():
    begins = machines(8, 2).model_copy(update={"months": {"2024-01": MonthTotals(peak_w=5), "2026-09": MonthTotals(peak_w=7)}})
    plan = standing(1, NOON, (8, 8, 8), begins=begins)
    points = [measured(NOON + 15 * MIN, 8, draw_w=2_500_000), measured(NOON + 16 * MIN, 8, draw_w=900_000)]
    months = carry([plan], now=NOON + 18 * MIN, at=NOON + HOUR, points=points).months
    assert months[f"{NOON:%Y-%m}"].peak_w == (2_500_000 + 14 * 900_000) // 15
    assert "2024-01" not in months
    assert months["2026-09"] == MonthTotals(peak_w=7)


def test_totals_go_on_from_plan_to_plan_and_begin_anew_each_month():
    present = f"{NOON:%Y-%m}"
    begins = machines(8, 2).model_copy(update={"months": {present: MonthTotals(peak_w=1_900_000, energy_wh=10)}})
    first = standing(1, NOON, (8,) * 3, begins=begins)
    state = carry([first], now=NOON + 40 * MIN, at=NOON + HOUR)
    assert state.months[present] == MonthTotals(peak_w=1_900_000, energy_wh=10 + 1_000_008)
    days = 31 * 24 * HOUR
    far = standing(2, NOON, (8,) * 3, begins=begins)
    later = standing(3, NOON + days, (8,) * 3, begins=state)
    months = carry([far, later], now=NOON + days, at=NOON + days + HOUR).months
    assert months[f"{NOON + days:%Y-%m}"] == MonthTotals(peak_w=1_000_008, energy_wh=1_000_008)
    assert months[present] == state.months[present]


def test_what_was_billed_before_the_service_is_where_the_count_begins():
    site = small_fleet(1).sites[0]
    billed = {"2026-01": MonthTotals(peak_w=77), f"{NOON:%Y-%m}": MonthTotals(peak_w=88, energy_wh=1)}
    fleet = small_fleet(1).model_copy(update={"sites": (site.model_copy(update={"billed_months": billed}),)})
    state = carried_state(fleet, [], {}, now=NOON, at=NOON, assumed=initial_state(fleet, NOON).sites)
    assert state.sites["pecos"].months == dict(sorted(billed.items()))


def level_state(plans: list[InForce], observed: Observed, *, now: datetime, at: datetime) -> tuple[str, int, int]:
    """Day, work demanded and work served of the chat's level; 1,000 an hour are asked, 98 % of a day's are due."""
    state = carried_state(small_fleet(1), plans, {"pecos": observed}, now=now, at=at, assumed={})
    ((day, counted),) = state.service["chat"].items()
    return day, counted.demanded_work, counted.served_work


def test_a_service_level_counts_what_was_asked_and_what_the_running_nodes_did():
    at = NOON + 2 * HOUR
    plan = standing(1, NOON, (4, 4, 4), (4, 4, 4), chat=900)
    assert level_state([plan], Observed(), now=at, at=at) == ("2026-11-22", 2_000, 1_800)
    tripped = TelemetryPoint(at=NOON + 30 * MIN, draw_w=90_000, nodes_on={"h100": 1})
    back = TelemetryPoint(at=NOON + HOUR - MIN, draw_w=90_000, nodes_on={"h100": 4})
    seen = Observed(points=(tripped, back))
    served = 900 * 91 / 60 + 900 / 4 * 29 / 60
    assert level_state([plan], seen, now=at, at=at) == ("2026-11-22", 2_000, int(served))
    late = Observed(begun={1: NOON + HOUR})
    assert level_state([plan], late, now=at, at=at) == ("2026-11-22", 2_000, 900)
    assert level_state([plan], Observed(refused=frozenset({1})), now=at, at=at) == ("2026-11-22", 2_000, 0)


def test_a_service_level_goes_on_from_the_state_before_until_its_day_ends():
    plan = standing(1, NOON, (4,) * 24, (4,) * 24, chat=900)
    before = {"chat": {"2026-11-22": PeriodWork(demanded_work=50, served_work=7)}}
    state = plan.problem.state.model_copy(update={"service": before})
    plan = InForce(1, plan.plan, plan.problem.model_copy(update={"state": state}))
    at = NOON + HOUR
    assert level_state([plan], Observed(), now=at, at=at) == ("2026-11-22", 1_050, 907)
    newer = standing(2, NOON + HOUR, (4,) * 23, (4,) * 23, chat=500)
    at = NOON + 2 * HOUR
    assert level_state([plan, newer], Observed(), now=NOON + HOUR - MIN, at=at) == ("2026-11-22", 2_050, 1_407)
    at = NOON + 19 * HOUR  # 01:00 in Chicago
    assert level_state([plan], Observed(), now=at, at=at) == ("2026-11-23", 1_000, 900)


def test_nobody_serves_more_than_was_asked():
    at = NOON + 2 * HOUR
    plan = standing(1, NOON, (4, 4, 4), (4, 4, 4), chat=1_300)
    assert level_state([plan], Observed(), now=at, at=at) == ("2026-11-22", 2_000, 2_000)


def did(since: datetime, at: datetime, **work: int) -> TelemetryPoint:
    return TelemetryPoint(at=at, draw_w=90_000, done=WorkDone(since=since, work=work))


def counted_work(*points: TelemetryPoint, plan: InForce, at: datetime, now: datetime | None = None) -> PeriodWork:
    state = carried_state(small_fleet(1), [plan], {"pecos": Observed(points=points)}, now=now or at, at=at, assumed={})
    return state.service["chat"]["2026-11-22"]


def test_measured_work_counts_where_it_covers_the_time_and_the_plan_elsewhere():
    plan, at = standing(1, NOON, (4, 4, 4), (4, 4, 4), chat=900), NOON + 2 * HOUR
    all_told = counted_work(did(NOON, NOON + HOUR, chat=600), did(NOON + HOUR, at, chat=700), plan=plan, at=at)
    assert (all_told.demanded_work, all_told.served_work, all_told.measured_work) == (2_000, 1_300, 1_300)
    part = counted_work(did(NOON + 20 * MIN, NOON + HOUR, chat=100), plan=plan, at=at)
    assert (part.served_work, part.measured_work) == (300 + 100 + 900, 100)
    none = counted_work(plan=plan, at=at)
    assert (none.served_work, none.measured_work) == (1_800, 0)
    nothing_done = counted_work(did(NOON, at, chat=0), plan=plan, at=at)
    assert (nothing_done.served_work, nothing_done.measured_work) == (0, 0)
    of_others = counted_work(did(NOON, at, nightly=5), plan=plan, at=at)
    assert (of_others.served_work, of_others.measured_work) == (1_800, 0)


def test_measured_work_is_counted_once_and_by_the_share_that_lies_after_the_plan_began():
    plan, at = standing(1, NOON, (4, 4, 4), (4, 4, 4), chat=900), NOON + HOUR
    before = counted_work(did(NOON - HOUR, NOON + HOUR, chat=1_000), plan=plan, at=at)
    assert (before.served_work, before.measured_work) == (500, 500)
    twice = counted_work(did(NOON, NOON + 30 * MIN, chat=300), did(NOON, NOON + HOUR, chat=800), plan=plan, at=at)
    assert twice.served_work == 300 + 400
    ahead = counted_work(did(NOON, NOON + 30 * MIN, chat=300), plan=plan, at=at, now=NOON + 30 * MIN)
    assert (ahead.served_work, ahead.measured_work) == (300 + 450, 300)
    much = counted_work(did(NOON, NOON + HOUR, chat=5_000), plan=plan, at=at)
    assert (much.demanded_work, much.served_work, much.measured_work) == (1_000, 1_000, 1_000)


def test_measured_work_is_parted_where_the_period_ends_and_carried_on():
    plan, midnight = standing(1, NOON, (4,) * 24, (4,) * 24, chat=900), NOON + 18 * HOUR  # in Chicago
    points = (did(midnight - HOUR, midnight + HOUR, chat=1_000),)
    state = carried_state(
        small_fleet(1), [plan], {"pecos": Observed(points=points)}, now=midnight + HOUR, at=midnight + HOUR, assumed={}
    )
    assert state.service["chat"] == {"2026-11-23": PeriodWork(demanded_work=1_000, served_work=500, measured_work=500)}
    known = plan.problem.state.model_copy(
        update={"service": {"chat": {"2026-11-22": PeriodWork(demanded_work=90, served_work=80, measured_work=70)}}}
    )
    plan = InForce(1, plan.plan, plan.problem.model_copy(update={"state": known}))
    on = counted_work(did(NOON, NOON + HOUR, chat=600), plan=plan, at=NOON + HOUR)
    assert on == PeriodWork(demanded_work=1_090, served_work=680, measured_work=670)


def test_batch_work_waits_by_what_was_measured_and_by_the_nodes_that_run():
    lots = (Lot(work=500, due=NOON + 5 * HOUR),)
    plan, at = standing(1, NOON, (4, 4, 4), (4, 4, 4), backlog=lots, served=300), NOON + HOUR

    def waits(*points: TelemetryPoint) -> int:
        state = carried_state(small_fleet(1), [plan], {"pecos": Observed(points=points)}, now=at, at=at, assumed={})
        return sum(lot.work for lot in state.backlog["nightly"])

    assert waits() == 500 + 100 - 300
    assert waits(did(NOON, at, nightly=50)) == 500 + 100 - 50
    tripped = TelemetryPoint(at=NOON + 30 * MIN, draw_w=90_000, nodes_on={"h100": 0})
    again = TelemetryPoint(at=NOON + 40 * MIN, draw_w=90_000, nodes_on={"h100": 4})
    assert waits(tripped, again) == 500 + 100 - 250
