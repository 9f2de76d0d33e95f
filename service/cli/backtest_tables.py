"""The report of a back-test for people at a terminal: who earned what, what was missed, and what the figures stand on."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scenarios.backtest.records import BacktestReport, PolicyResult
from service.backtesting.plots import REGRET
from service.backtesting.words import (
    SETTLED,
    by_kind,
    hours,
    named,
    paths_verdict,
    percent,
    seen_all,
    stand_in_words,
    title_of,
    verdict,
)
from service.cli.tables import table_of, usd

SHOWN = ("hashing", "inference", "energy")
"""Kinds of money with a column of their own; all others stand together."""


def show_report(report: BacktestReport, console: Console) -> None:
    """Print a report: verdict, policies, what was missed, what contracts added, and what was left out."""
    console.print(f"[b]{escape(report.spec.title or report.spec.name)}[/b]")
    console.print(verdict(report), markup=False)
    console.print(policy_table(report))
    if paths := paths_verdict(report):
        console.print(paths, markup=False)
    if report.regret is not None:
        console.print(regret_table(report))
    if report.contracts:
        table = table_of("Added by contract", ["contract"], ["sites", "USD"])
        for added in report.contracts:
            table.add_row(added.contract.replace("_", " "), str(added.sites), usd(added.usd))
        console.print(table)
        if all(added.how == "settled" for added in report.contracts):
            console.print(SETTLED, markup=False)
    for line in standing(report):
        console.print(line, markup=False)
    for result in report.policies:
        for words in result.broken:
            console.print(f"[yellow]broken[/yellow] {title_of(result.policy)}: {escape(words)}")


def policy_table(report: BacktestReport) -> Table:
    """Return one row a policy: its profit, against perfect foresight and the best rule, and where it comes from."""
    numbers = ["profit $", "of perfect", "against best rule $", *(f"{kind} $" for kind in SHOWN), "other $", "MWh", "starts"]
    table = table_of("Profit by policy", ["policy"], numbers)
    perfect, best = seen_all(report), report.result(report.best_rule) if report.best_rule else None
    for r in sorted(report.policies, key=lambda r: -r.profit_usd):
        money = by_kind(r)
        shown = [money[kind] for kind in SHOWN]
        share = percent(r.profit_usd / perfect.profit_usd) if perfect and perfect.profit_usd > 0 else "–"
        above = usd(r.profit_usd - best.profit_usd) if best else "–"
        table.add_row(
            title_of(r.policy), usd(r.profit_usd), share, above, *map(usd, shown), usd(r.profit_usd - sum(shown)),
            f"{r.energy_mwh:,.0f}", f"{r.block_starts + r.node_starts:,}", style="bold" if r.policy == "plan" else None,
        )  # fmt: skip
    return table


def regret_table(report: BacktestReport) -> Table:
    """Return why the plan earned less than perfect foresight."""
    regret = report.regret
    assert regret is not None
    table = table_of("What was missed against perfect foresight", ["part"], ["USD", "of it"])
    whole = regret.total_usd
    for name, said in REGRET:
        amount = getattr(regret, name)
        table.add_row(said, usd(amount), percent(amount / whole) if abs(whole) > 0.005 else "–")
    table.add_section()
    table.add_row("all of it", usd(whole), "")
    return table


def standing(report: BacktestReport) -> list[str]:
    """Return what the figures stand on: hours, data left out, plans that were not optimised, and what it cost."""
    one: PolicyResult = report.policies[0]
    lines = [f"scored: {hours(one.hours_scored)}; left out: {hours(one.hours_left_out)}"]
    if report.best_rule:
        lines[0] += f"; best rule: {named(report.best_rule)}"
    for flag in report.flags:
        if flag.is_left_out:
            lines.append(f"left out: {flag.series}, {flag.intervals} intervals from {flag.start:%Y-%m-%d %H:%M} UTC: {flag.what}")
    for r in report.policies:
        if r.plans_not_optimised:
            lines.append(f"{title_of(r.policy)}: {r.plans_not_optimised} of {r.plans} plans were not optimised in time")
        lines += stand_in_words(r)
    return [*lines, f"core-seconds per replayed hour: {report.cpu_s_per_hour:.2f}, {report.cpu_s:,.0f} in all"]
