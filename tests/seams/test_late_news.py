"""What happens between a plan's making and its first step is part of the next plan's state."""

from datetime import timedelta

from seams.fleets import NOON
from seams.test_state_carry import HOUR, LONG_AGO, MIN, carry, measured, standing

from models.state import Cohort
from service.in_force import InForce


def made_before(plan: InForce, by: timedelta) -> InForce:
    """The same plan, made some time before its first step, as hourly plans are."""
    earlier = plan.plan.model_copy(update={"created_at": plan.plan.grid.start - by})
    return InForce(plan.version, earlier, plan.problem)


def test_a_block_that_tripped_after_the_plan_was_made_runs_anew_from_its_first_step():
    plan = made_before(standing(1, NOON, (8, 8, 8)), 20 * MIN)
    seen = [measured(NOON - 10 * MIN, 7), measured(NOON + 10 * MIN, 8), measured(NOON + 39 * MIN, 8)]
    row = carry([plan], now=NOON + 40 * MIN, at=NOON + HOUR, points=seen).groups["row"]
    assert row.started == (Cohort(count=7, since=LONG_AGO), Cohort(count=1, since=NOON))


def test_what_the_plan_knew_already_is_not_told_twice():
    plan = made_before(standing(1, NOON, (8, 8, 8)), 20 * MIN)
    seen = [measured(NOON - 25 * MIN, 3), measured(NOON + 39 * MIN, 8)]
    row = carry([plan], now=NOON + 40 * MIN, at=NOON + HOUR, points=seen).groups["row"]
    assert row.started == (Cohort(count=8, since=LONG_AGO),)


def test_who_has_been_off_for_long_starts_before_who_has_just_tripped():
    """Eight blocks, one of them off for long; another trips, and the next step starts one: the tripped one still rests."""
    plan = standing(1, NOON, (7, 7, 7))
    seen = [measured(NOON + 50 * MIN, 6), measured(NOON + 70 * MIN, 7)]
    row = carry([plan], now=NOON + 75 * MIN, at=NOON + 2 * HOUR - 20 * MIN, points=seen).groups["row"]
    assert row.running == 7
    assert row.stopped == (Cohort(count=1, since=NOON + 50 * MIN),)
