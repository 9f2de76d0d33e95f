"""Plans as tables for people: what each site does with its megawatts, what each workload gets, where the money comes from."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from models.plan import Plan, SitePlan, Term

GLOSSARY = (
    "MW are averages over the horizon; serving counts all power of GPU nodes, base is sleep and base load, idle is the unused "
    "part of the limit. Revenue of inference belongs to workloads, energy to sites: blocks and tiers count, less what is resold. "
    "Starts: wear, less what machines that still run at the end save; other: peaks, carbon, take, reserves."
)
_FRACTION = re.compile(r"(?<=:\d\d)\.\d+Z$")
"""The fraction of a second of an instant, which no person needs."""

SITE_MONEY: dict[str, tuple[Term, ...]] = {
    "hashing": ("hashing_revenue",),
    "starts": ("asic_start_wear", "forced_stop_wear", "gpu_start_cost", "asic_end_value", "gpu_end_value"),
    "energy": ("energy_cost", "tier_cost", "block_cost", "resale_revenue"),
    "other": (
        "demand_charge",
        "coincident_peak",
        "carbon_cost",
        "take_shortfall",
        "reserve_capacity",
        "reserve_energy",
        "reserve_saved_energy",
        "reserve_lost_hash",
        "reserve_starts",
        "reserve_claw_back",
    ),
}
"""Columns of a site's money; each term by itself stands in the table of terms."""

WORKLOAD_TITLES: dict[str, str] = {
    "inference_revenue": "inference",
    "reserved_revenue": "reserved",
    "unserved_penalty": "unserved",
    "late_penalty": "late",
    "backlog_end_value": "waiting",
    "service_shortfall": "level missed",
    "routing_cost": "routing",
}
WORKLOAD_MONEY: dict[str, tuple[Term, ...]] = {
    "paid": ("inference_revenue", "reserved_revenue"),
    "penalties": ("unserved_penalty", "late_penalty", "service_shortfall"),
    "other": ("backlog_end_value", "routing_cost"),
}
"""Columns of a workload's money where there is no room for every term."""


def usd(amount: float) -> str:
    """Write money for people: whole dollars with separators, cents below ten dollars."""
    if abs(amount) < 0.005:
        return "0"
    return f"{amount:,.0f}" if abs(amount) >= 10 else f"{amount:,.2f}"


def headline(plan: Plan) -> list[str]:
    """Return what a reader must know first: which plan, how good, how sure."""
    proof, grid = plan.proof, plan.grid
    labels = "".join(f" · [b]{label}[/b]" for label in plan.labels)
    horizon = f"{grid.start:%Y-%m-%d %H:%M} to {grid.end:%Y-%m-%d %H:%M} UTC"
    quality = f"{plan.basis}, {proof.status}"
    if proof.bound_usd is not None:
        quality += f" · bound {usd(proof.bound_usd)} USD · gap {proof.gap_percent or 0:.3g} % ({usd(proof.gap_usd or 0)} USD)"
    else:
        quality += " · no bound claimed" if plan.basis == "optimised" else " · no bound: no solver made this plan"
    audit = "not audited" if plan.audit is None else "audited" if plan.audit.passed else "REFUSED by the audit"
    return [
        f"[b]{plan.plan_id}[/b] of {plan.problem_name} · {len(plan.sites)} sites × {grid.steps} steps · {horizon}{labels}",
        f"profit [b]{usd(plan.profit_usd)} USD[/b] · {quality} · {audit} · {proof.wall_s:.1f} s",
    ]


def show_plan(plan: Plan, console: Console) -> None:
    """Print a plan: headline, sites, workloads, money, recoveries and reasons."""
    for line in headline(plan):
        console.print(line)
    console.print(widest(console, site_table(plan), site_table(plan, with_terms=False)))
    if plan.workloads:
        console.print(widest(console, workload_table(plan), workload_table(plan, with_terms=False)))
    console.print(money_table(plan))
    for recovery in plan.recoveries:
        console.print(f"[yellow]recovery[/yellow] {recovery.site}, step {recovery.step}: {escape(recovery.words)}")
    if plan.stability is not None:
        console.print(f"[dim]{plan.stability.words}[/dim]")
    told = {recovery.reason for recovery in plan.recoveries}
    for reason in plan.reasons:
        if reason in told:
            continue
        console.print(f"[dim]{escape(reason)}[/dim]")


def site_table(plan: Plan, *, with_terms: bool = True) -> Table:
    """Return one row a site: average MW by use, and its own money, by kind if there is room."""
    found = set(present(plan, plan.sites))
    kinds = {title: terms for title, terms in SITE_MONEY.items() if found & set(terms)}
    titles = [f"{title} $" for title in kinds] if with_terms else []
    table = table_of("Sites", ["site"], ["limit MW", "hashing", "serving", "base", "idle", *titles, "sum $"])
    table.caption = GLOSSARY
    money = money_by_owner(plan)
    rows = []
    for name, site in plan.sites.items():
        own = [sum(money.get((term, name), 0.0) for term in terms) for terms in kinds.values()]
        rows.append((name, [*average_mw(site, plan.grid.hours)], [*(own if with_terms else []), sum(own)]))
    for name, megawatts, own in rows:
        table.add_row(name, *(f"{mw:,.1f}" for mw in megawatts), *map(usd, own))
    table.add_section()
    table.add_row(
        f"{len(rows)} sites",
        *(f"{sum(column):,.1f}" for column in zip(*(row[1] for row in rows), strict=True)),
        *(usd(sum(column)) for column in zip(*(row[2] for row in rows), strict=True)),
    )
    return table


def average_mw(site: SitePlan, hours: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Return the average limit, hashing, serving, base load and idle headroom of a site. [MW]"""

    def mean(watts: Sequence[int]) -> float:
        return sum(w * h for w, h in zip(watts, hours, strict=True)) / sum(hours) / 1e6

    limit, draw, hashing, serving = (mean(s) for s in (site.limit_w, site.draw_w, site.hashing_w, site.inference_w))
    return limit, hashing, serving, max(0.0, draw - hashing - serving), limit - draw


def workload_table(plan: Plan, *, with_terms: bool = True) -> Table:
    """Return one row a workload: million units of work served and unserved, and its money by term, or by kind."""
    kinds = {WORKLOAD_TITLES[term]: (term,) for term in present(plan, plan.workloads)} if with_terms else WORKLOAD_MONEY
    table = table_of(
        "Workloads", ["workload"], ["served M", "unserved M", "served %", *(f"{title} $" for title in kinds), "sum $"]
    )
    table.caption = "M: million tokens, or node-hours of reservations. Batch work that waits is neither served nor unserved."
    if not with_terms:
        table.caption += " Other: what waiting work is worth, less routing."
    money = money_by_owner(plan)
    served = served_work(plan)
    hours = plan.grid.hours
    for name, workload in plan.workloads.items():
        missed = sum(w * h for w, h in zip(workload.unserved_work_per_h, hours, strict=True))
        done = served.get(name, 0.0)
        share = f"{100 * done / (done + missed):.2f}" if done + missed else "–"
        own = [sum(money.get((term, name), 0.0) for term in terms) for terms in kinds.values()]
        table.add_row(name, f"{done / 1e6:,.1f}", f"{missed / 1e6:,.1f}", share, *map(usd, own), usd(sum(own)))
    return table


def widest(console: Console, *tables: Table) -> Table:
    """Return the first table that fits the window without cutting a figure; the last if none does."""
    options = console.options.update(max_width=10_000)
    return next((table for table in tables if Measurement.get(console, options, table).maximum <= console.width), tables[-1])


def served_work(plan: Plan) -> dict[str, float]:
    """Return the work that all pools do by workload over the horizon. [work units]"""
    total: dict[str, float] = {}
    for site in plan.sites.values():
        for pool in site.pools.values():
            for name, rates in pool.work_per_h.items():
                total[name] = total.get(name, 0.0) + sum(r * h for r, h in zip(rates, plan.grid.hours, strict=True))
    return total


def money_table(plan: Plan) -> Table:
    """Return the named terms whose sum is the profit."""
    table = table_of("Profit by term", ["term"], ["USD"])
    for term, amount in plan.money_by_term_usd.items():
        table.add_row(term, usd(amount))
    table.add_section()
    table.add_row("profit", usd(plan.profit_usd))
    if plan.proof.bound_usd is not None:
        table.add_row("no plan exceeds", usd(plan.proof.bound_usd))
        table.add_row(f"gap, {plan.proof.gap_percent or 0:.3g} %", usd(plan.proof.gap_usd or 0))
    return table


def money_by_owner(plan: Plan) -> dict[tuple[str, str], float]:
    """Return the total of each (term, owner). [USD]"""
    total: dict[tuple[str, str], float] = {}
    for line in plan.money:
        key = (line.term, line.owner)
        total[key] = total.get(key, 0.0) + sum(line.usd)
    return total


def present(plan: Plan, owners: Iterable[str]) -> list[str]:
    """Return the terms that any of these owners has, in the order in which terms are declared."""
    names = set(owners)
    found = {line.term for line in plan.money if line.owner in names}
    return [term for term in get_args(Term) if term in found]


def table_of(title: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    """Return an empty table with columns of words on the left and of numbers on the right."""
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left", header_style="bold", box=None)
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def rows_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], nothing: str = "there is none") -> Table | str:
    """Return plain rows as a table: lists joined, what is absent as a dash; `nothing` where there are no rows."""
    if not (rows := list(rows)):
        return nothing
    table = table_of("", columns, [])
    for column in table.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"  # a narrow window wraps words, and cuts none
    for row in rows:
        table.add_row(*(escape(cell(row.get(column))) for column in columns))
    return table


def cell(value: Any) -> str:
    """Write one value of a row."""
    if value is None or value in ([], ""):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else _FRACTION.sub("Z", str(value))
