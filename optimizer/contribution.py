"""The one interface between elements: what each adds to the sums that all share."""

from collections.abc import Iterable
from dataclasses import dataclass

from optimizer.declare import Expr, Model, Reading, Rule


@dataclass(frozen=True)
class Earning:
    """Money under a term's name, by owner and step: `over` names the sets, or a set of such pairs.

    `rule(m, owner, t)` is in USD, costs negative.
    """

    term: str
    over: tuple[str, ...]
    rule: Rule


@dataclass(frozen=True)
class Contribution:
    """What one element adds to the shared sums; what it leaves out it does not touch.

    power_kw: rule(m, s, t), metered power of its machines at a site, PUE included. [kW]
    power_kw_under: rule(m, f, t), metered power of its machines below a feeder, PUE included. [kW]
    shed_kw: rule(m, s, t), the part of its metered power that a site could stop drawing when called. [kW]
    work_nodes: rule(m, h, t), work delivered to a hub, or asked of it (negative), in fully loaded nodes. [nodes]
    money: its named money terms.
    """

    power_kw: Rule | None = None
    power_kw_under: Rule | None = None
    shed_kw: Rule | None = None
    work_nodes: Rule | None = None
    money: tuple[Earning, ...] = ()


def power_at(parts: Iterable[Contribution], m: Reading, s: Expr, t: Expr) -> Expr:
    """Return all metered power at one site and step. [kW]."""
    return sum(part.power_kw(m, s, t) for part in parts if part.power_kw)


def power_under(parts: Iterable[Contribution], m: Reading, f: Expr, t: Expr) -> Expr:
    """Return all metered power below one feeder in one step. [kW]."""
    return sum(part.power_kw_under(m, f, t) for part in parts if part.power_kw_under)


def shed_at(parts: Iterable[Contribution], m: Reading, s: Expr, t: Expr) -> Expr:
    """Return all power that a site could stop drawing when called, in one step. [kW]."""
    return sum(part.shed_kw(m, s, t) for part in parts if part.shed_kw)


def work_at(parts: Iterable[Contribution], m: Reading, h: Expr, t: Expr) -> Expr:
    """Return work delivered to a hub less work asked of it, in one step. [nodes]."""
    return sum(part.work_nodes(m, h, t) for part in parts if part.work_nodes)


def earn(model: Model, parts: Iterable[Contribution]) -> None:
    """Declare the money of all parts; the objective is the sum of what is declared here and nothing else."""
    for part in parts:
        for earning in part.money:
            model.earns(earning.term, earning.over, earning.rule)
