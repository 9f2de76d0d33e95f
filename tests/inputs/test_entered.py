"""What people and sites enter reaches the plan as entered, binds until it ends, and never keeps a fleet from being planned."""

from dataclasses import replace
from datetime import timedelta

import pytest
from inputs.test_gathering import FLEET, FULL, HOUR, gathered, notes, tell
from seams.fleets import NOON, post_series
from seams.simulation import simulation

from models.availability import Outage, Pin
from models.feeder import Feeder
from models.time_grid import hourly
from scenarios.feed import initial_state
from service.engine import Answer
from service.inputs import gather
from service.optimiser import real_engine
from service.store.entry_records import OutageEntry, PinEntry

MIN = timedelta(minutes=1)
FED = FLEET.model_copy(
    update={
        "sites": (
            FLEET.sites[0].model_copy(update={"feeders": (Feeder(name="t1", limit_w=2_500_000, members=("row",)),)}),
            *FLEET.sites[1:],
        )
    }
)


def out(store, name="o1", machine="row", count=2, site="pecos", start=NOON, end=None, at=NOON):
    said = Outage(name=name, site=site, machine=machine, count=count, start=start, end=end)
    entry = OutageEntry(entry_id=name, created_at=at, created_by="test", entered_as="operator", outage=said)
    return store.outages.add(entry)


def pin(store, name="p1", machine="row", count=3, mode=None, expires=NOON + 2 * HOUR, site="pecos", at=NOON):
    said = Pin(name=name, owner="night shift", site=site, machine=machine, mode=mode, count=count, expires=expires)
    return store.pins.add(PinEntry(entry_id=name, created_at=at, created_by="test", entered_as="operator", pin=said))


def test_what_stands_is_in_the_problem_and_what_is_over_is_not(store):
    now = out(store).outage
    later = out(store, "later", start=NOON + 5 * HOUR).outage
    out(store, "over", start=NOON - 2 * HOUR, end=NOON)
    out(store, "beyond", start=NOON + 6 * HOUR)
    out(store, "withdrawn")
    store.outages.withdraw("withdrawn", by="test", at=NOON)
    held = pin(store).pin
    pin(store, "expired", machine="h100", count=1, expires=NOON)
    found = gathered(store)
    assert found.outages == (now, later)
    assert found.pins == (held,)
    problem = found.problem(initial_state(FLEET, NOON))
    assert (problem.outages, problem.pins) == ((now, later), (held,))


def test_what_no_longer_fits_the_fleet_is_cut_or_left_out_and_said(store):
    out(store, "cut", count=9)
    out(store, "gone", machine="old-row")
    pin(store, "gone-site", site="atlantis")
    pin(store, "too-many", count=9)
    pin(store, "no-mode", machine="h100", count=1, mode="eco")
    found = gathered(store)
    assert [(o.name, o.count) for o in found.outages] == [("cut", 8)]
    assert found.pins == ()
    assert found.problem(initial_state(FLEET, NOON)).outages[0].count == 8
    assert notes(found, "outage_") == [
        "outage_cut: an outage is for 9 of pecos/row, which has 8: all are out",
        "outage_ignored: an outage is for pecos/old-row, which the fleet does not have",
    ]
    assert [note.partition(" is for ")[2] for note in notes(found, "pin_ignored")] == [
        "atlantis/row, which the fleet does not have",
        "9 of pecos/row, which has 8",
        "mode eco of pecos/h100, which has none such",
    ]


def test_a_limit_of_a_feeder_binds_the_feeder_and_not_the_meter(store):
    tell(store, "limit", "pecos", [600_000, 2_900_000] + [700_000] * 6, name="t1-rating", feeder="t1")
    found = gathered(store, fleet=FED)
    assert found.limit_w == {}
    assert found.feeder_limit_w == {"pecos": {"t1": (600_000, 2_500_000, *(700_000,) * 4)}}
    assert found.problem(initial_state(FED, NOON)).feeder_limit_w == found.feeder_limit_w
    assert notes(gathered(store), "limit_ignored") == [
        "limit_ignored: series t1-rating is of feeder t1, which pecos does not have"
    ]
    tell(store, "limit", "pecos", [900_000] * 8, name="meter")
    assert gathered(store, fleet=FED).limit_w == {"pecos": (900_000,) * 6}


# --- planned at once --------------------------------------------------------------------------------------------------


def quick(problem, ask, **how) -> Answer:
    """What the solver would do is not asked here."""
    return Answer("timeout", why="timeout: not asked")


@pytest.fixture
def made(tmp_path):
    engine = replace(real_engine(), optimise=quick)
    run = simulation(tmp_path, FED, NOON + 5 * MIN, ambient=lambda _name, _at: 15.0, engine=engine, horizon_h=6, budget_s=2.0)
    post_series(run.store, NOON, 80)
    assert run.service.desk.turn()
    assert run.service.planner.is_current(run.clock())
    yield run
    run.close()


def newest(made):
    published = made.store.publications.newest()
    plan = made.store.plans.get(published.plan_id)
    return published, plan, made.store.plans.problem(plan.problem_digest)


def test_an_outage_that_is_entered_is_planned_at_once_and_again_when_it_is_withdrawn(made):
    desk, now = made.service.desk, made.clock()
    desk.entry_changed(out(made.store, count=8, start=now, at=now))
    assert not made.service.planner.is_current(now)
    desk.turn(desk._owed.pop())
    published, plan, problem = newest(made)
    assert published.occasion.startswith("outage-o1")
    assert [o.name for o in problem.outages] == ["o1"]
    counts = plan.sites["pecos"].groups["row"].mode_blocks
    assert all(sum(blocks[t] for blocks in counts.values()) == 0 for t in range(plan.grid.steps))
    assert made.service.planner.is_current(now)
    desk.entry_changed(made.store.outages.withdraw("o1", by="test", at=now))
    desk.turn(desk._owed.pop())
    assert newest(made)[0].occasion.startswith("outage-o1-withdrawn")
    assert newest(made)[2].outages == ()


def test_a_pin_holds_until_it_expires_and_its_end_needs_no_new_plan(made):
    now = made.clock()
    pin(made.store, machine="row", mode="eco", count=2, expires=NOON + 2 * HOUR, at=now)  # stored, and then the process died
    assert made.service.desk.turn(), "it is caught up"
    _, plan, problem = newest(made)
    assert [p.name for p in problem.pins] == ["p1"]
    eco = plan.sites["pecos"].groups["row"].mode_blocks["eco"]
    held = [t for t, start in enumerate(plan.grid.starts) if start < NOON + 2 * HOUR]
    assert held[1:]
    assert {eco[t] for t in held[1:]} == {2}, "minimum runs may outrank it in the first step alone"
    assert made.service.planner.is_current(NOON + 2 * HOUR), "it has expired for the plan as for the store"
    assert gather(made.store, FED, hourly(NOON + 2 * HOUR, 6), now=NOON + 2 * HOUR).pins == ()


def test_a_lower_limit_is_planned_at_once_a_higher_or_distant_one_by_the_hour(made):
    desk, planner, now = made.service.desk, made.service.planner, made.clock()
    tell(made.store, "limit", "pecos", [FULL] * 5 + [100_000] * 20, name="far", known_at=now)
    assert planner.is_current(now), "what binds in five hours can wait for the hourly plan"
    tell(made.store, "limit", "pecos", [FULL, 600_000] + [FULL] * 20, name="t1-rating", known_at=now, feeder="t1")
    assert not planner.is_current(now)
    desk.limits_changed()
    desk.turn(desk._owed.pop())
    published, _, problem = newest(made)
    assert published.occasion.startswith("limit-")
    assert problem.feeder_limit_w["pecos"]["t1"][1] == 600_000
    assert planner.is_current(now)
    desk.limits_changed()
    assert desk._owed == [], "nothing lower was told"
    tell(made.store, "limit", "pecos", [FULL, 900_000] + [FULL] * 20, name="t1-rating", known_at=now + MIN, feeder="t1")
    made.clock.at = now + MIN
    assert planner.is_current(made.clock()), "a higher one costs money, not the wires"


def test_a_fleet_that_lost_a_machine_is_planned_all_the_same(made):
    now = made.clock()
    out(made.store, "cut", count=8, start=now, at=now)
    site = FED.sites[0]
    fewer = site.model_copy(update={"asic_groups": (site.asic_groups[0].model_copy(update={"blocks": 4}),)})
    made.store.fleets.add(FED.model_copy(update={"sites": (fewer, *FED.sites[1:])}), by="test", at=now)
    assert made.service.desk.turn()
    _, plan, problem = newest(made)
    assert problem.outages[0].count == 4
    assert any(reason.startswith("outage_cut:") for reason in plan.reasons)
    assert made.service.planner.is_current(now)
