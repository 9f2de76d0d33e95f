"""Every hour's plan begins with the last optimised one that was published, a restart in between or not."""

from dataclasses import replace
from datetime import timedelta

from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import simulation

from optimizer.warm import Warm
from service.optimiser import real_engine

MIN = timedelta(minutes=1)


def listening(known: list[Warm | None]):
    """The real engine, and what it is told of the plan before."""
    real = real_engine()

    def noting(problem, ask, *, warm=None, **how):
        known.append(warm)
        return real.optimise(problem, ask, warm=warm, **how)

    return replace(real, optimise=noting)


def test_the_hourly_plan_begins_with_the_last_one_and_after_a_restart_with_the_stored_one(tmp_path):
    known: list[Warm | None] = []
    how = {"ambient": lambda _name, _at: 15.0, "engine": listening(known), "horizon_h": 6, "budget_s": 10.0}
    made = simulation(tmp_path, small_fleet(2), NOON + 5 * MIN, **how)
    post_series(made.store, NOON, 80)
    assert made.service.desk.turn()
    first = made.store.publications.newest()
    assert first.basis == "optimised"
    assert known == [None]
    made.clock.at = NOON + 40 * MIN
    assert made.service.desk.turn()
    second = made.store.publications.newest()
    assert second.basis == "optimised"
    assert known[1].plan.plan_id == first.plan_id
    made.close()

    again = simulation(tmp_path, small_fleet(2), NOON + 100 * MIN, **how)
    assert again.service.desk.turn()
    assert again.store.publications.newest().basis == "optimised"
    assert known[2].plan.plan_id == second.plan_id
    assert known[2].plan == again.store.plans.get(second.plan_id)
    again.close()
