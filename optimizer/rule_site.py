"""One site by rule, step after step, between a floor and a ceiling for its draw.

The ceiling looks back from later limits along the ramp, so that a falling limit is met before its step; both follow the
ramp from the step before. Where the ramp is missed all the same, because work or cooling fell away faster than blocks
could follow, the step before gets a bound of its own and the site is done again.
"""

from collections.abc import Iterator, Sequence

from optimizer.decisions import SiteDecisions
from optimizer.rule_problem import SiteProblem
from optimizer.rule_step import Draft, Step

MOST_REPAIRS = 200


def fill_site(problem: SiteProblem) -> SiteDecisions:
    """Return what a site does in each step; keeps every rule that machines and state let it keep."""
    steps = problem.grid.steps
    caps: list[int] = list(problem.limit_mw)
    needs = [0] * steps
    for _ in range(MOST_REPAIRS):
        draft = _fill(problem, _ceilings(problem, caps), needs)
        missed = next(_missed(problem, draft.draw_mw), None)
        if missed is None or missed[0] == 0:
            break
        t, low = missed
        if draft.draw_mw[t] < low:
            bound = draft.draw_mw[t] + (problem.ramp_mw[t] or 0)
            if caps[t - 1] <= bound:
                break
            caps[t - 1] = bound
        else:
            bound = draft.draw_mw[t] - (problem.ramp_mw[t] or 0)
            if needs[t - 1] >= bound:
                break
            needs[t - 1] = bound
    return _decisions(problem, draft)


def _missed(problem: SiteProblem, draws_mw: Sequence[int]) -> Iterator[tuple[int, int]]:
    before = problem.draw_before_mw
    for t, draw in enumerate(draws_mw):
        if (ramp := problem.ramp_mw[t]) is not None and abs(draw - before) > ramp:
            yield t, before - ramp
        before = draw


def _ceilings(problem: SiteProblem, caps: Sequence[int]) -> list[int]:
    """Draws from which all later limits can be met within the ramp, although machines come whole."""
    largest = max((max(u.busy_mw) for u in problem.units.values()), default=0)
    tops = [0 if dark else min(cap, limit) for cap, limit, dark in zip(caps, problem.limit_mw, problem.dark, strict=True)]
    for t in range(len(tops) - 1, 0, -1):
        if (ramp := problem.ramp_mw[t]) is not None:
            tops[t - 1] = min(tops[t - 1], tops[t] + max(0, ramp - largest))
    return tops


def _fill(problem: SiteProblem, tops: list[int], needs: Sequence[int]) -> Draft:
    steps = range(problem.grid.steps)
    units = problem.units
    committed = [0 if problem.dark[t] else problem.floor_mw[t] + sum(u.must_mw(t) for u in units.values()) for t in steps]
    draft = Draft(
        held={name: list(u.held) for name, u in units.items()},
        resting={name: list(u.resting) for name, u in units.items()},
        committed_mw=committed,
        must_mw={name: [u.must_mw(t) for t in steps] for name, u in units.items()},
        loading_s={name: list(lost) for name, lost in problem.loading_s.items()},
        modes={name: [] for name in units},
        done={name: {} for name in problem.nodes},
        before={name: list(u.before) for name, u in units.items()},
    )
    draw_before = problem.draw_before_mw
    for t in steps:
        step = Step(problem, draft, t, tops, draw_before, needs[t])
        step.fill()
        draw_before = step.draw_mw
        draft.draw_mw.append(draw_before)
    return draft


def _decisions(problem: SiteProblem, draft: Draft) -> SiteDecisions:
    made = SiteDecisions()
    for group in problem.site.asic_groups:
        rows = draft.modes[group.name]
        made.mode_blocks[group.name] = {mode.name: [row[k] for row in rows] for k, mode in enumerate(group.modes)}
    for pool in problem.site.gpu_pools:
        made.nodes_on[pool.name] = [row[0] for row in draft.modes[pool.name]]
        made.work_per_h[pool.name] = draft.done[pool.name]
    return made
