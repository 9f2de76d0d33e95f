"""The fleet's step guard: all draws together change no faster than it lets them, but for what orders do."""

from collections.abc import Sequence

from models.problem import Problem
from optimizer.audit.forced import Forced
from optimizer.audit.ground import Findings, SiteFacts, Watt, mega
from optimizer.audit.meter import MILLIWATT_PER_W, Draws

MINUTES = 5
S_PER_MIN = 60


def check_step_guard(problem: Problem, sites: Sequence[tuple[SiteFacts, Draws, Forced]], found: Findings) -> None:
    """Add up what all sites change into each step; a site does not count under an order, after one, dark, or in recovery."""
    guard, step_s = problem.fleet.step_guard, problem.grid.step_s
    for t, length_s in enumerate(step_s) if guard is not None else ():
        change: Watt = 0
        counted = [(f, d) for f, d, forced in sites if not _free(f, t) and t not in forced.ramps]
        for facts, draws in counted:
            before: Watt = draws.total[t - 1] if t else facts.now.draw_w * MILLIWATT_PER_W
            change += draws.total[t] - before
        shorter_s = min(length_s, step_s[max(t - 1, 0)])
        most_mw = guard.most_change_w * MILLIWATT_PER_W * shorter_s // (MINUTES * S_PER_MIN) if guard else 0
        size = max(change, -change)
        if size >= most_mw + MILLIWATT_PER_W * max(1, len(counted)):  # set-points are whole watts
            moved = f"the draws of {len(counted)} sites change by {mega(size)} in all"
            found.say(problem.fleet.name, t, f"{moved}, the step guard allows {mega(most_mw)}")


def _free(facts: SiteFacts, t: int) -> bool:
    return any(facts.ordered[h] or facts.dark[h] for h in (t, t - 1) if h >= 0)
