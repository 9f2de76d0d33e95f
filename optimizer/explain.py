"""Why a plan does what it does at a site in a step, in money that was computed by forcing the alternatives, not guessed.

marginal    all counts as in the plan but the mode split, which is continuous: the dual of the limit            [USD/MWh]
next block  the site re-solved at the plan's hub prices with the limit of the step raised by its largest block  [USD/MWh]
work block  the site re-solved with a node's work more for a hub, of each workload that may be served there   [USD/Mwork]
reserves    one more MW of each reserve: the dual of what is sold, and the site re-solved with it sold     [USD/MW-h]
next best   of all changes of one block or node in the step, each forced with the rest of the site decided anew, the one
            that earns most; its difference to the best schedule of the site                                    [USD]

All five are of the site alone at the hub prices of `optimizer.prices`. With all counts fixed the dual mostly reads 0,
because a block does not fit: it is never sold as the value of a MW.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from models import explanation
from models.explanation import Explanation, NextBlock, ReserveValue, WorkBlock, WorkloadValue
from optimizer.compiled import Compiled
from optimizer.explained_reserves import reserve_values, sold_blocks
from optimizer.explained_site import Ground, UnexplainedError, ground
from optimizer.explained_work import deliveries, pairs_of, work_blocks
from optimizer.moves import Alternative, alternatives, only_modes_free
from optimizer.prices import UnpricedError
from optimizer.reasons import binding, break_evens, energy_usd_per_mwh, largest_unit_w, reason, usd, what_ran
from optimizer.sets import world
from optimizer.variants import Answer, Variant, reduced_cost, solve_variants
from optimizer.worker import GIB, Stopwatch

__all__ = ["Ground", "UnexplainedError", "UnpricedError", "explain", "ground"]

TRACE_KW = 1e-3
"""By how much the limit is raised to read its dual from above."""
BLOCK_SHARE = 0.25
"""Of the time, for the next block."""
CENT = 0.01


def explain(on: Ground, site: str, step: int, *, deadline_s: float = 20.0, memory_bytes: int = GIB) -> Explanation:
    """Explain one site and step of a plan; what time does not suffice for says so.

    Arguments:
        on: the plan, made ready by `ground`.
        site: its name.
        step: counted from 0.
        deadline_s: wall time for the solver children. [s]
        memory_bytes: cap on each of them.

    Raises:
        UnexplainedError: the plan has no such site or step.
    """
    if site not in on.plan.sites:
        near = get_close_matches(site, on.plan.sites, n=1)
        there = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(on.plan.sites))}"
        raise UnexplainedError(f"site: the plan has no site {site!r}{there}")
    if not 0 <= step < on.problem.grid.steps:
        raise UnexplainedError(f"step: expected 0 to {on.problem.grid.steps - 1}, got {step}")
    return _Explaining(on, site, step, deadline_s, memory_bytes).explanation()


@dataclass(frozen=True)
class _Best:
    """The best schedule found for a site, how much better it could be, and what the plan's own is worth there."""

    usd: float
    gap_usd: float
    plan_usd: float


class _Explaining:
    def __init__(self, on: Ground, site: str, step: int, deadline_s: float, memory_bytes: int) -> None:
        self.on, self.step, self.deadline_s, self.memory_bytes = on, step, deadline_s, memory_bytes
        self.watch = Stopwatch()
        self.here = world(on.problem, [site], on.release)
        self.site, self.made = self.here.sites[0], on.plan.sites[site]
        self.alone, self.x = on.site_alone(site)

    def explanation(self) -> Explanation:
        grid, problem, step = self.on.problem.grid, self.on.problem, self.step
        others = alternatives(self.site, self.made, step)
        first = [Variant(), only_modes_free(self.alone, self.x, step, TRACE_KW)]
        hubs = deliveries(self.here, self.alone, self.x, step, self.on.prices.node_usd)
        variants = [*first, *(a.forced(self.alone, step) for a in others)]
        variants += [variant for hub in hubs for variant in (hub.as_planned, hub.one_more)]
        answers = self._solve(self.alone, variants, 1 - BLOCK_SHARE)
        best, last = self._best(answers), len(first) + len(others)
        forced = [_told(a, answer, best) for a, answer in zip(others, answers[2:last], strict=True)]
        work = work_blocks(self.here, step, dict(pairs_of(hubs, answers[last:])))
        known = [a for a in forced if a.change_usd is not None]
        next_best = max(known, key=lambda a: a.change_usd or 0.0, default=None)
        block = self._next_block(best)
        held = tuple(binding(self.here, self.alone, self.x, self.made, step))
        energy = energy_usd_per_mwh(problem, self.alone, step)
        reserves, unread = self._reserves(first[1], best)
        made = Explanation(
            plan_id=self.on.plan.plan_id,
            site=self.site.name,
            step=step,
            start=grid.starts[step],
            step_s=grid.step_s[step],
            draw_w=self.made.draw_w[step],
            limit_w=self.made.limit_w[step],
            energy_usd_per_mwh=energy,
            hashprice_usd_per_ph_day=problem.paid_hashprice_usd_per_ph_day[step],
            reason=reason(what_ran(self.site, self.made, step), next_best, held, block.words),
            binding=held,
            marginal_usd_per_mwh=self._marginal(first[1], answers[1]),
            next_block=block,
            next_best=next_best,
            alternatives=tuple(sorted(forced, key=lambda a: -np.inf if a.change_usd is None else a.change_usd, reverse=True)),
            left_usd=None if best is None else best.usd - best.plan_usd,
            left_plus_minus_usd=0.0 if best is None else best.gap_usd,
            break_evens=tuple(break_evens(self.here, step, energy)),
            workloads=self._workloads(work),
            reserves=reserves,
            notes=tuple(_notes(best)),
        )
        return made.model_copy(update={"missing": (*_missing(made), *unread)})

    def _solve(self, model: Compiled, variants: Sequence[Variant], share: float) -> list[Answer]:
        left_s = min(share * self.deadline_s, self.deadline_s - self.watch.seconds)
        return solve_variants(model, variants, deadline_s=left_s, memory_bytes=self.memory_bytes)

    def _best(self, answers: Sequence[Answer]) -> _Best | None:
        """The best of what was found, the plan's own among it; every alternative is a schedule of the same model."""
        free, plan_usd = answers[0], self.alone.objective(self.x)
        if free.bound_usd is None:
            return None
        whole = [a.objective_usd for a in (free, *answers[2:]) if a.objective_usd is not None]
        usd = max([*whole, plan_usd])
        return _Best(usd, max(0.0, free.bound_usd - usd), plan_usd)

    def _marginal(self, variant: Variant, answer: Answer) -> float | None:
        if answer.row_dual is None:
            return None
        per_kw = reduced_cost(variant.of(self.alone), answer.row_dual)[self.alone.columns["draw"][0, self.step]]
        return max(0.0, float(per_kw)) * 1000 / self.on.problem.grid.hours[self.step]

    def _next_block(self, best: _Best | None) -> NextBlock:
        block_w = largest_unit_w(self.here, self.step)
        if not block_w:
            return NextBlock(block_w=0, value_usd_per_mwh=0.0, words="0 for more power: there are no machines")
        raised = self.on.raised(self.site.name, self.step, block_w)
        (answer,) = self._solve(raised, [Variant()], 1.0)
        if best is None or answer.objective_usd is None or not np.isfinite(answer.gap_usd):
            return NextBlock(block_w=block_w, value_usd_per_mwh=None, words="the next block could not be valued in the time")
        gain, gaps = answer.objective_usd - best.usd, answer.gap_usd + best.gap_usd
        if self.here.energised[0, self.step]:
            gain = max(0.0, gain)  # whatever could be done is lawful still
        return self._valued(block_w, gain, gaps)

    def _valued(self, block_w: int, gain_usd: float, gaps_usd: float) -> NextBlock:
        mwh = block_w / 1e6 * self.on.problem.grid.hours[self.step]
        free_w = self.made.limit_w[self.step] - self.made.draw_w[self.step]
        if abs(gain_usd) <= max(CENT, gaps_usd):
            free = f"{free_w / 1e6:.3f} MW are free" if free_w >= block_w else "no block fits into it, or none pays"
            words, gain_usd = f"a block of {block_w / 1e6:.3f} MW more limit is worth 0: {free}", 0.0
        else:
            words = f"a block of {block_w / 1e6:.3f} MW more limit is worth {gain_usd / mwh:,.2f} USD/MWh ({usd(gain_usd)})"
        return NextBlock(block_w=block_w, value_usd_per_mwh=gain_usd / mwh, plus_minus_usd_per_mwh=gaps_usd / mwh, words=words)

    def _reserves(self, modes_free: Variant, best: _Best | None) -> tuple[tuple[ReserveValue, ...], list[str]]:
        """What each reserve is worth, and in words whose marginal value time did not suffice for."""
        if not (blocks := sold_blocks(self.here, self.alone, self.x, self.step, modes_free)):
            return (), []
        answers = self._solve(self.alone, [*(b.one_more for b in blocks), *(b.a_trace for b in blocks)], 1.0)
        traced = zip(blocks, answers[len(blocks) :], strict=True)
        unread = [f"the marginal value of {block.block.reserve.name}" for block, answer in traced if answer.status == "unknown"]
        values = reserve_values(blocks, self.alone, answers, best.usd if best else None, best.gap_usd if best else 0.0)
        return values, unread

    def _workloads(self, blocks: Mapping[str, WorkBlock]) -> tuple[WorkloadValue, ...]:
        values = self.on.prices.work_usd_per_mwork
        return tuple(
            WorkloadValue(workload=w, value_usd_per_mwork=float(v[self.step]) + 0.0, next_block=blocks.get(w))
            for w, v in values.items()
        )


def _told(alternative: Alternative, answer: Answer, best: _Best | None) -> explanation.Alternative:
    change = None if best is None or answer.objective_usd is None else answer.objective_usd - best.usd
    words = alternative.words
    if answer.status == "impossible":
        words += ": no lawful schedule of the site has it"
    elif change is None:
        words += ": not valued, time was over"
    is_known = best is not None and np.isfinite(answer.gap_usd)
    return explanation.Alternative(
        move=alternative.move,
        thing=alternative.thing,
        words=words,
        fits=answer.status != "impossible",
        change_usd=change if is_known else None,
        plus_minus_usd=answer.gap_usd + best.gap_usd if best is not None and is_known else 0.0,
    )


def _notes(best: _Best | None) -> Iterator[str]:
    if best is None:
        yield "the best schedule of the site could not be found in the time: nothing is valued against it"
    elif (left := best.usd - best.plan_usd) > max(CENT, best.gap_usd):
        yield f"over the horizon the best schedule of the site would earn {left:,.2f} USD more than the plan's"


def _missing(made: Explanation) -> Iterator[str]:
    """What time did not suffice for, in words."""
    single = {
        "the best schedule of the site": made.left_usd,
        "one more MW": made.marginal_usd_per_mwh,
        "the next block": made.next_block.value_usd_per_mwh,
    }
    yield from (words for words, value in single.items() if value is None)
    if uses := sum(a.fits and a.change_usd is None for a in made.alternatives):
        yield f"{uses} of {len(made.alternatives)} other uses"
    blocks = {w.workload: w.next_block for w in made.workloads if w.next_block is not None and w.next_block.fits}
    yield from (f"more work of {name}" for name, block in blocks.items() if block.value_usd_per_mwork is None)
    yield from (f"one more MW of {r.reserve}" for r in made.reserves if r.fits and r.next_mw_usd_per_mw_h is None)
