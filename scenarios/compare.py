"""The difference between two plans: money by term, energy by use, by site, and how many decisions changed.

Plans are compared over the steps that both have. A difference of profits is certain only to the sum of both plans' gaps,
which is its `plus_minus_usd`; where a plan proves no bound, or the steps are not the whole of both, there is none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

from models.base import Count, Instant, Name, NonNegative, Record, Text
from models.plan import GroupPlan, Plan, PoolPlan, SitePlan, Stability
from models.problem import Problem
from models.reading import refuse


class Step(NamedTuple):
    """A step in common: its index in the plan before and in the plan after, and its length in hours."""

    at: tuple[int, int]
    hours: float


Steps = Sequence[Step]


class Difference(Record):
    """A figure before and after."""

    before: float
    after: float
    difference: float


class EnergyDifference(Record):
    """Metered energy by use [MWh]; base is what sleeping miners and the site itself draw."""

    hashing_mwh: Difference
    serving_mwh: Difference
    base_mwh: Difference


class SiteDifference(Record):
    """One site: its own money lines, its energy, and its decisions that changed."""

    profit_usd: Difference
    energy: EnergyDifference
    decisions_changed: Count


class Comparison(Record):
    """What changed from one plan to another.

    `decisions` counts the pairs of machine group or pool and step that were compared, `decisions_changed` those whose
    counts of blocks or nodes differ.
    """

    before: Name
    after: Name
    labels: tuple[Text, ...] = ()
    start: Instant
    end: Instant
    steps: Count
    profit_usd: Difference
    plus_minus_usd: NonNegative | None
    plus_minus_note: Text
    profit_by_term_usd: dict[Name, Difference]
    energy: EnergyDifference
    sites: dict[Name, SiteDifference]
    workload_profit_usd: dict[Name, Difference]
    decisions: Count
    decisions_changed: Count
    stability: Stability | None = None
    """What the plan after says itself of the plan before, where that stood when it was made."""
    notes: tuple[Text, ...] = ()
    """What a reader of the figures must know, such as the stand-ins that are in them."""


def compare(before: Plan, after: Plan, notes: Sequence[str] = ()) -> Comparison:
    """Return what changed from `before` to `after` over the steps that both have; `notes` stand before those of the plans.

    Raises:
        BadInputError: the two plans have no step in common.
    """
    steps = _common_steps(before, after)
    if not steps:
        refuse("no_common_steps", f"plans {before.plan_id} and {after.plan_id} have no step in common")
    last = steps[-1].at[0]
    sites = sorted(set(before.sites) | set(after.sites))
    owners = _money(before, after, steps, by=lambda term, owner: owner)
    cells = {site: list(_cells(before.sites.get(site), after.sites.get(site), steps)) for site in sites}
    plus_minus_usd, note = _plus_minus(before, after, len(steps))
    return Comparison(
        before=before.plan_id,
        after=after.plan_id,
        labels=tuple(dict.fromkeys((*before.labels, *after.labels))),
        start=before.grid.starts[steps[0].at[0]],
        end=before.grid.starts[last] + timedelta(seconds=before.grid.step_s[last]),
        steps=len(steps),
        profit_usd=_total(owners.values()),
        plus_minus_usd=plus_minus_usd,
        plus_minus_note=note,
        profit_by_term_usd=_money(before, after, steps, by=lambda term, owner: term),
        energy=_energy(before.sites.values(), after.sites.values(), steps),
        sites={
            site: SiteDifference(
                profit_usd=owners.get(site, _difference(0.0, 0.0)),
                energy=_energy(_one(before, site), _one(after, site), steps),
                decisions_changed=sum(cells[site]),
            )
            for site in sites
        },
        workload_profit_usd={owner: value for owner, value in owners.items() if owner not in cells},
        decisions=sum(map(len, cells.values())),
        decisions_changed=sum(map(sum, cells.values())),
        stability=after.stability if after.stability and after.stability.standing == before.plan_id else None,
        notes=(*notes, *notes_of(before, after)),
    )


def notes_of(*plans: Plan) -> tuple[str, ...]:
    """Return which figures of some plans are of stand-ins for missing input, each once."""
    told = dict.fromkeys(words for plan in plans for words in plan.stand_ins)
    return tuple(f"these figures hold a stand-in: {words}" for words in told)


def notes_of_change(base: Problem, changed: Problem) -> tuple[str, ...]:
    """Return the note that a what-if leaves every figure of its base as it was; none where it changes one."""
    same = base.model_copy(update={"labels": changed.labels}) == changed
    return ("the what-if changes nothing: every figure of the problem is what it was",) if same else ()


def _common_steps(before: Plan, after: Plan) -> Steps:
    known = {(start, length): j for j, (start, length) in enumerate(zip(after.grid.starts, after.grid.step_s, strict=True))}
    pairs = enumerate(zip(before.grid.starts, before.grid.step_s, strict=True))
    return [Step(at=(i, known[step]), hours=step[1] / 3600) for i, step in pairs if step in known]


def _plus_minus(before: Plan, after: Plan, steps: int) -> tuple[float | None, str]:
    if steps < before.grid.steps or steps < after.grid.steps:
        return None, "the plans share only a part of their steps, and a gap is proven for a whole plan"
    gaps = {plan.plan_id: plan.proof.gap_usd for plan in (before, after)}
    if unproven := [plan_id for plan_id, gap in gaps.items() if gap is None]:
        return None, f"no bound is proven for {' and '.join(unproven)}"
    total = (before.proof.gap_usd or 0.0) + (after.proof.gap_usd or 0.0)
    return max(0.0, total), "sum of both plans' certified gaps"


def _difference(before: float, after: float) -> Difference:
    return Difference(before=before, after=after, difference=after - before)


def _total(parts: Iterable[Difference]) -> Difference:
    listed = list(parts)
    return _difference(sum(part.before for part in listed), sum(part.after for part in listed))


def _money(before: Plan, after: Plan, steps: Steps, by: Callable[[str, str], str]) -> dict[str, Difference]:
    sums: dict[str, list[float]] = {}
    for side, plan in enumerate((before, after)):
        for line in plan.money:
            key = by(line.term, line.owner)
            sums.setdefault(key, [0.0, 0.0])[side] += sum(line.usd[step.at[side]] for step in steps)
    return {key: _difference(*sums[key]) for key in sorted(sums)}


def _energy(before: Iterable[SitePlan], after: Iterable[SitePlan], steps: Steps) -> EnergyDifference:
    hashing, serving, base = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for side, sites in enumerate((before, after)):
        for site in sites:
            for step in steps:
                t, mwh_per_w = step.at[side], step.hours / 1e6
                hashing[side] += site.hashing_w[t] * mwh_per_w
                serving[side] += site.inference_w[t] * mwh_per_w
                base[side] += (site.draw_w[t] - site.hashing_w[t] - site.inference_w[t]) * mwh_per_w
    return EnergyDifference(hashing_mwh=_difference(*hashing), serving_mwh=_difference(*serving), base_mwh=_difference(*base))


def _one(plan: Plan, site: str) -> list[SitePlan]:
    return [plan.sites[site]] if site in plan.sites else []


def _cells(before: SitePlan | None, after: SitePlan | None, steps: Steps) -> Iterator[bool]:
    """Yield for each group and pool of a site and each step whether its counts differ."""
    sides = (before, after)
    for name in sorted(set(chain.from_iterable(site.groups for site in sides if site))):
        groups = [site.groups.get(name) if site else None for site in sides]
        yield from (_modes(groups[0], i) != _modes(groups[1], j) for (i, j), _ in steps)
    for name in sorted(set(chain.from_iterable(site.pools for site in sides if site))):
        pools = [site.pools.get(name) if site else None for site in sides]
        yield from (_nodes(pools[0], i) != _nodes(pools[1], j) for (i, j), _ in steps)


def _modes(group: GroupPlan | None, t: int) -> Mapping[str, int]:
    return {} if group is None else {mode: counts[t] for mode, counts in group.mode_blocks.items() if counts[t]}


def _nodes(pool: PoolPlan | None, t: int) -> tuple[int, int]:
    """Nodes that are on, and those that are warm."""
    return (0, 0) if pool is None else (pool.nodes_on[t], pool.nodes_warm[t] if pool.nodes_warm else 0)
