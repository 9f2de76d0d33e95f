"""What hash is paid: the hashprice of each step, less what known changes of the difficulty take of it."""

from math import prod

from models.problem import Problem


def paid_usd_per_ph_day(problem: Problem) -> list[float]:
    """Return what a PH/s and day earns on average over each step: in each second by the difficulty of that second."""
    grid, changes = (
        problem.grid,
        [(s.change_share, (s.at - problem.grid.start).total_seconds()) for s in problem.difficulty_steps],
    )
    found = []
    for t, usd in enumerate(problem.hashprice_usd_per_ph_day):
        earned, at_s, ends_s = 0.0, float(grid.offset_s[t]), float(grid.offset_s[t + 1])
        while at_s < ends_s:
            until_s = min([ends_s, *(s for _, s in changes if s > at_s)])
            earned += usd / prod(1 + share for share, s in changes if s <= at_s) * (until_s - at_s)
            at_s = until_s
        found.append(earned / grid.step_s[t])
    return found
