"""The tables beneath the plots: the same figures, for reading and for those who listen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import get_args
from zoneinfo import ZoneInfo

from models.base import iso
from models.plan import Term
from scenarios.backtest.records import BacktestReport, PolicyResult, Regret
from service.backtesting.plots import REGRET, line_class, zone_of
from service.backtesting.strips import PRICE_CLASSES, legend, mining_mw, price_class
from service.backtesting.words import named, percent, seen_all, stand_in_why, title_of, usd

MOST_FLAGS = 100


@dataclass(frozen=True)
class Row:
    """Cells, the first of them the row's name, and how it is set off."""

    cells: Sequence[str]
    class_: str = ""


@dataclass(frozen=True)
class Table:
    """What stands in a table; `wordy` are the columns that hold words."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Row] = ()
    foot: Sequence[str] = ()
    wordy: frozenset[int] = field(default_factory=frozenset)


def policies(report: BacktestReport) -> Table:
    """Return what each policy earned, against perfect foresight and the best rule, and what it did."""
    perfect, best = seen_all(report), report.result(report.best_rule) if report.best_rule else None
    head = ["policy", "profit", "of perfect", "against best rule", "worst 5 % of hours, per hour", "energy, MWh", "hash, PH days",
            "block starts", "node starts", "plans", "of them not optimised", "core-seconds"]  # fmt: skip
    rows = []
    for r in report.policies:
        rows.append(Row((
            title_of(r.policy), usd(r.profit_usd),
            percent(r.profit_usd / perfect.profit_usd) if perfect and perfect.profit_usd > 0 else "–",
            usd(r.profit_usd - best.profit_usd) if best else "–", usd(r.worst_hours_usd), f"{r.energy_mwh:,.0f}",
            f"{r.hash_ph_days:,.0f}", f"{r.block_starts:,}", f"{r.node_starts:,}", f"{r.plans:,}" if r.plans else "–",
            f"{r.plans_not_optimised:,}" if r.plans else "–", f"{r.cpu_s:,.0f}",
        ), line_class(report, r.policy)))  # fmt: skip
    return Table("Policies", head, rows)


def daily(report: BacktestReport) -> Table:
    """Return the profit of each policy by local day, over the scored hours."""
    zone = ZoneInfo(zone_of(report))
    days: dict[date, list[float]] = {}
    for t, start in enumerate(report.grid.starts):
        sums = days.setdefault(start.astimezone(zone).date(), [0.0] * len(report.policies))
        for n, r in enumerate(report.policies):
            sums[n] += r.usd[t] if report.scored[t] else 0.0
    rows = [Row((f"{day:%a} {day.isoformat()}", *map(usd, sums))) for day, sums in days.items()]
    return Table("Profit by day", ["day", *(title_of(r.policy) for r in report.policies)], rows)


def terms(report: BacktestReport) -> Table:
    """Return each money term of each policy; their sum is the profit."""
    found = {term for r in report.policies for term, amount in r.by_term_usd.items() if abs(amount) >= 0.005}
    order = [term for term in get_args(Term) if term in found]
    order += sorted(found - set(order))
    rows = [Row((term.replace("_", " "), *(usd(r.by_term_usd.get(term, 0.0)) for r in report.policies))) for term in order]
    foot = ["profit", *(usd(r.profit_usd) for r in report.policies)]
    return Table("Profit by term", ["term", *(title_of(r.policy) for r in report.policies)], rows, foot)


def work(report: BacktestReport) -> Table | None:
    """Return the share of each workload that each policy served; None without workloads."""
    names = sorted({name for r in report.policies for name in r.work})
    if not names:
        return None
    rows = [Row((name, *(_served(r, name) for r in report.policies))) for name in names]
    return Table("Work served", ["workload", *(title_of(r.policy) for r in report.policies)], rows)


def _served(result: PolicyResult, name: str) -> str:
    done = result.work.get(name)
    return percent(done.served_work / done.demanded_work) if done and done.demanded_work else "–"


def regret(found: Regret) -> Table:
    """Return what was missed, part by part."""
    whole = found.total_usd
    rows = [
        Row((said, usd(getattr(found, name)), percent(getattr(found, name) / whole) if abs(whole) > 0.005 else "–"))
        for name, said in REGRET
    ]
    return Table("What was missed", ["part", "missed", "share of it"], rows, ["all of it", usd(whole), ""])


def by_price(report: BacktestReport) -> Table:
    """Return the mean power of mining by class of the first market's price, and how many hours were of it."""
    if not report.prices_usd_per_mwh:
        return Table("Mining by price", ["price"])
    prices = next(iter(report.prices_usd_per_mwh.values()))
    hours = [s / 3600 for s in report.grid.step_s]
    said = dict(legend(report)["$/MWh"])
    rows = []
    for kind in (f"p{n}" for n in range(len(PRICE_CLASSES) + 1)):
        steps = [t for t, price in enumerate(prices) if price_class(price) == kind]
        length = sum(hours[t] for t in steps)
        if not length:
            continue
        means = [sum(mining_mw(r)[t] * hours[t] for t in steps) / length for r in report.policies]
        rows.append(Row((f"{said[kind]} $/MWh", f"{length:,.0f}", *(f"{mw:,.1f}" for mw in means))))
    head = ["price", "hours", *(f"{title_of(r.policy)}, MW" for r in report.policies)]
    return Table("Mean power of mining by class of price", head, rows)


def contracts(report: BacktestReport) -> Table | None:
    """Return what each kind of contract added to the plan's profit; None where that was not asked."""
    if not report.contracts:
        return None
    how = {"settled": "the same decisions, billed without it", "replanned": "planned anew without it"}
    rows = [Row((c.contract.replace("_", " "), f"{c.sites}", usd(c.usd), how[c.how], f"{c.steps:,}")) for c in report.contracts]
    return Table("Contracts", ["contract", "sites", "added", "how it was found", "steps"], rows, wordy=frozenset({3}))


def stand_ins(report: BacktestReport) -> Table | None:
    """Return the hours in which a plain rule told a family of series in place of its model; None where there are none."""
    rows = [
        Row((title_of(r.policy), one.family, stand_in_why(one), f"{one.hours:,g}", ", ".join(one.series), one.words))
        for r in report.policies
        for one in r.stand_ins
    ]
    head = ["policy", "family", "why", "hours", "series", "of the first"]
    return Table("Hours told by a plain rule", head, rows, wordy=frozenset({1, 2, 4, 5})) if rows else None


def flags(report: BacktestReport) -> Table | None:
    """Return what of the data was not as it should be, and what was done about it; None without any."""
    if not report.flags:
        return None
    rows = []
    for f in report.flags[:MOST_FLAGS]:
        score = "left out of the score" if f.is_left_out else "scored"
        rows.append(Row((f.series, f"{f.intervals:,}", iso(f.start), iso(f.end), f.what, score)))
    return Table("Flagged data", ["series", "intervals", "from", "to", "what", "its hours"], rows, wordy=frozenset({4}))


def best_rule_words(report: BacktestReport) -> str:
    """Return the best rule within a sentence."""
    return named(report.best_rule) if report.best_rule else ""
