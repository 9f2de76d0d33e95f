"""The service looks ahead over the rest of the month after a plan, and the plans after it go by what was found."""

from datetime import UTC, datetime, timedelta

from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import HOUR, MIN, simulation
from seams.test_forty_eight_hours import air, publications

from models.demand_charge import DemandCharge
from models.outlook import Outlook
from service.looking_ahead import LookingAhead, rest_of_month
from service.optimiser import real_engine

CHARGE = DemandCharge(usd_per_kw_month=(4.0,) * 12)


def fleet():
    small = small_fleet(2)
    first, *others = small.sites
    return small.model_copy(update={"sites": (first.model_copy(update={"demand_charge": CHARGE}), *others)})


def problems(made):
    plans = [made.store.plans.get(p.plan_id) for p in publications(made)]
    return [made.store.plans.problem(plan.problem_digest) for plan in plans]


def run(folder, engine=None, **settings):
    made = simulation(folder, fleet(), NOON + 10 * MIN, ambient=air, engine=engine, horizon_h=6, **settings)
    post_series(made.store, NOON, 30)
    made.turn()
    made.run(3)
    made.close()
    return made


def test_plans_after_the_first_go_by_what_a_look_found(tmp_path):
    made = run(tmp_path, look_ahead_every_h=24)
    seen = problems(made)
    assert len(seen) >= 3
    assert seen[0].outlook == {}, "no plan waits for a look"
    later = [p.outlook for p in seen[-2:]]
    assert all(set(outlook) == {"pecos"} for outlook in later)
    assert later[0] == later[1], "one look a day"
    assert 0 < later[0]["pecos"].peaks_w["2026-11"] <= 3_400_000
    assert later[0]["pecos"].source.startswith("look-ahead from 2026-11-22T")
    assert made.broken == []


def test_nobody_looks_unless_asked_to(tmp_path):
    assert all(p.outlook == {} for p in problems(run(tmp_path)))


def test_a_look_that_fails_is_an_alarm_and_plans_go_on(tmp_path):
    def broken(problem, deadline_s, cancelled):
        raise RuntimeError("the child was not found")

    engine = real_engine()
    made = run(tmp_path, engine=type(engine)(**vars(engine) | {"look_ahead": broken}), look_ahead_every_h=24)
    assert len([p for p in publications(made) if p.basis == "optimised"]) >= 3
    said = [e for e in made.store.audit_log.page(limit=500).items if e.subject == "look_ahead_failed"]
    assert said
    assert "the child was not found" in said[0].detail["words"]


def test_months_that_are_over_and_sites_without_input_are_left_out():
    found = {"pecos": Outlook(peaks_w={"2026-11": 1, "2026-12": 2}), "abilene": Outlook()}
    ahead = LookingAhead(lambda problem, deadline_s, cancelled: found, 24)
    of, late = fleet(), datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert ahead.is_due(of, NOON)
    assert ahead.outlook(of, NOON) == {}

    class Asked:
        fleet = of

    ahead.look(Asked(), NOON, lambda: False, {"abilene"})
    assert not ahead.is_due(of, NOON + timedelta(hours=23))
    assert ahead.is_due(of, NOON + 24 * HOUR)
    assert ahead.outlook(of, NOON) == {"pecos": found["pecos"]}
    assert ahead.outlook(of, late)["pecos"].peaks_w == {"2026-12": 2}
    assert ahead.outlook(small_fleet(2), NOON) == {}, "another fleet"
    assert rest_of_month(of, NOON).end == datetime(2026, 12, 1, 6, tzinfo=UTC)
