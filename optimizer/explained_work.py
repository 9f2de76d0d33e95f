"""What one more block of work is worth at a site in a step: a whole node's work through the step, on top of the plan's.

The site is decided anew, at the plan's hub prices, once with the work that the plan has it deliver to the hub in the step and
once with a node's more. What it loses by that, the hub's price of the node's work left out, is what the block costs; the
workload's price less routing is what it earns. Work that is answered at once may also stay unserved, at its penalty.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.explanation import WorkBlock
from models.workload import BatchWorkload, ReservedWorkload, Workload
from optimizer.compiled import Compiled, Floats
from optimizer.sets import World
from optimizer.variants import Answer, Variant

WORK_PER_MWORK = 1e6


@dataclass(frozen=True, eq=False)
class Delivery:
    """A hub with pools at the site: the two variants of the site's model, and what the hub pays for a node's work. [USD]"""

    hub: int
    price_usd: float
    as_planned: Variant
    one_more: Variant


def deliveries(here: World, alone: Compiled, x: Floats, step: int, node_usd: Mapping[str, Floats]) -> list[Delivery]:
    """Return the hubs that a site delivers to; `x` are the plan's columns in the site's model, at these prices."""
    found = []
    labels = {label: n for n, label in enumerate(alone.column_families["supplied"].labels[0])}
    for n in sorted({p.hub for p in here.pools if p.hub is not None}):
        label = here.hubs[n].label
        column = alone.columns["supplied"][labels[f"{here.sites[0].name} {label}"], step]
        planned, most = x[column], alone.col_upper[column]
        variants = [Variant(np.array([column]), np.array([nodes]), np.array([most])) for nodes in (planned, planned + 1.0)]
        found.append(Delivery(n, float(node_usd[label][step]), *variants))
    return found


def work_blocks(here: World, step: int, solved: Mapping[int, tuple[Delivery, Answer, Answer]]) -> dict[str, WorkBlock]:
    """Return the worth of a block of each workload that the site may serve, by hub as solved; the best of its hubs."""
    found: dict[str, WorkBlock] = {}
    for n, (delivery, before, after) in solved.items():
        for number, rate in here.hubs[n].work_per_node_h.items():
            workload = here.workloads[number]
            mwork = rate * float(here.hours[step]) / WORK_PER_MWORK
            routing = here.hubs[n].routing_usd_per_mwork[number]
            block = _block(workload, mwork, routing, delivery, before, after)
            known = found.get(workload.name)
            if known is None or _rank(block) > _rank(known):
                found[workload.name] = block
    return found


def _rank(block: WorkBlock) -> tuple[bool, float]:
    return block.fits, -np.inf if block.value_usd_per_mwork is None else block.value_usd_per_mwork


def _block(workload: Workload, mwork: float, routing: float, delivery: Delivery, before: Answer, after: Answer) -> WorkBlock:
    what = f"{mwork:,.3f} million units more of {workload.name}, a node's work"
    unserved = None if isinstance(workload, BatchWorkload) else -workload.unserved_usd_per_mwork
    if isinstance(workload, ReservedWorkload) and unserved is not None:
        unserved += workload.price_usd_per_mwork
    if after.status == "impossible":
        words = f"{what}: no lawful schedule of the site does it"
        return WorkBlock(mwork=mwork, fits=False, value_usd_per_mwork=unserved, words=words)
    if before.objective_usd is None or after.objective_usd is None or not np.isfinite(before.gap_usd + after.gap_usd):
        return WorkBlock(mwork=mwork, fits=True, value_usd_per_mwork=None, words=f"{what}: not valued, time was over")
    cost_usd = before.objective_usd - after.objective_usd + delivery.price_usd
    value = workload.price_usd_per_mwork - routing - cost_usd / mwork
    words = f"{what}: served here it is worth {value:,.4f} USD per million, and costs the site {cost_usd:,.2f} USD"
    if unserved is not None and value < unserved:
        value, words = unserved, f"{words}; left unserved {unserved:,.4f}"
    gaps = (before.gap_usd + after.gap_usd) / mwork
    return WorkBlock(mwork=mwork, fits=True, value_usd_per_mwork=value, plus_minus_usd_per_mwork=gaps, words=words)


def pairs_of(found: list[Delivery], answers: list[Answer]) -> Iterator[tuple[int, tuple[Delivery, Answer, Answer]]]:
    """Yield each hub with its two answers, which stand one pair after the other in the order of `found`."""
    for n, delivery in enumerate(found):
        yield delivery.hub, (delivery, answers[2 * n], answers[2 * n + 1])
