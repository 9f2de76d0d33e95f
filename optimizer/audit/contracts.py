"""What contracts cost beyond the price of energy, read off the exact draws of a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from models.demand_charge import DemandCharge
from models.problem import Problem
from models.site import Site
from optimizer.audit.ground import Watt

MILLIWATT_PER_KW = 1e6
W_PER_KW = 1e3
When = tuple[int, int]
"""Year and month."""


@dataclass(frozen=True)
class LocalMonth:
    """A month of a site's calendar that the horizon touches: seconds of it in each step, and left of it at the start."""

    when: When
    step_s: list[int]
    left_s: int

    @property
    def name(self) -> str:
        """The month as the state writes it."""
        return f"{self.when[0]:04d}-{self.when[1]:02d}"

    def highest_kw(self, draws: Sequence[Watt]) -> float:
        """The highest draw of a step that lies in the month at all, draws in milliwatts."""
        return max(float(mw) for mw, s in zip(draws, self.step_s, strict=True) if s) / MILLIWATT_PER_KW


def local_months(problem: Problem, site: Site) -> list[LocalMonth]:
    """Return the months that the horizon touches at a site, in order."""
    zone, grid = ZoneInfo(site.zone), problem.grid
    first, found = grid.start.astimezone(zone), []
    when = (first.year, first.month)
    while (begins := datetime(*when, 1, tzinfo=zone)).timestamp() < grid.end.timestamp():
        after = _month_before(when, -1)
        ends = datetime(*after, 1, tzinfo=zone).timestamp()
        step_s = [
            max(0, int(min(ends, t.timestamp() + s) - max(begins.timestamp(), t.timestamp())))
            for t, s in zip(grid.starts, grid.step_s, strict=True)
        ]
        found.append(LocalMonth(when, step_s, int(ends - max(begins.timestamp(), grid.start.timestamp()))))
        when = after
    return found


def contract_money(problem: Problem, site: Site, draws: Sequence[Watt]) -> dict[str, list[float]]:
    """Return the money of each contract that a site has beside the price of energy, by term and step; draws in milliwatts."""
    money = {}
    if site.demand_charge is not None:
        money["demand_charge"] = demand_charge_usd(problem, site, site.demand_charge, draws)
    return money


def demand_charge_usd(problem: Problem, site: Site, charge: DemandCharge, draws: Sequence[Watt]) -> list[float]:
    """Return the demand charge of each step, `draws` in milliwatts.

    The billed peak of a month beyond what was owed before the plan, at the month's price; each step bears its share of
    the time that is left of the month.
    """
    cost = [0.0 for _ in draws]
    months = local_months(problem, site)
    planned_kw = {month.when: month.highest_kw(draws) for month in months}
    counted_kw = {
        (int(name[:4]), int(name[5:])): totals.peak_w / W_PER_KW for name, totals in problem.state.sites[site.name].months.items()
    }
    for month in months:
        owed_kw = max(counted_kw.get(month.when, 0.0), _ratchet_kw(charge, month.when, counted_kw))
        billed_kw = max(owed_kw, planned_kw[month.when], _ratchet_kw(charge, month.when, planned_kw))
        usd = charge.usd_per_kw_month[month.when[1] - 1] * (billed_kw - owed_kw)
        for t, seconds in enumerate(month.step_s):
            cost[t] -= usd * seconds / month.left_s
    return cost


def _ratchet_kw(charge: DemandCharge, when: When, peaks_kw: Mapping[When, float]) -> float:
    """What the peaks of the months before leave as the least billed peak of a month."""
    before = (_month_before(when, n) for n in range(1, charge.look_back_months + 1))
    remembered = [peaks_kw[w] for w in before if w in peaks_kw and w[1] in charge.counted_months]
    return charge.ratchet_share * max(remembered, default=0.0)


def _month_before(when: When, months: int) -> When:
    year, month = divmod(when[0] * 12 + when[1] - 1 - months, 12)
    return year, month + 1
