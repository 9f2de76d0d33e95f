"""The published back-tests for people: the page `docs/backtests.md` and the table in the README, from what the runs came to."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.table import columns
from scenarios.backtest.records import BacktestReport
from service.backtesting.words import SETTLED, against, paths_verdict, percent, stand_in_words, title_of, usd

BEGIN, END = "<!-- written by the back-tests -->", "<!-- until here, by the back-tests -->"
Section = Mapping[str, Any]
"""What one command came to: command, release, wall_s, jobs, and `reports`, a summary of each period."""
UNTIMED = "played by runs of other commands, whose wall time is theirs"

HEAD = """# Back-tests

Written by `python3 dev.py bench backtests … --write`; every figure is of the runs named here, with WATTSPLIT_DATA.
Ten sites of the invented reference fleet, re-planned every hour over 24 hours at a gap of 0.2 %, on real prices, temperatures
and hashprice, as each was known at the hour. Each run leaves report, page and rows of its periods in its folder.

- *Of perfect foresight*: of what the better earned of those that saw what came: the plan of the whole period (its bound is
  certified), or plans in windows that see what came.
- *Missed* is over the scored hours, as the profit is: hours without a real-time price are left out of both. Horizon: seeing no
  further than a window; forecast: not knowing what would come in it; execution: what machines could not do of what was
  commanded; gap: plans that are not proven best. A part below zero: luck, or a yardstick that left a gap of its own.
- *Reserves are not sold*, by plans and rules alike: what was awarded and called at these hours is in no data here, and no award
  is carried from plan to plan.
- *Euros* are turned into dollars by the European Central Bank's means of months, to four decimals; within the months replayed a
  day's rate differs from it by 1.6 % at most.
"""


def summary(report: BacktestReport) -> dict[str, Any]:
    """Return what is published of a report."""
    return {
        "name": report.spec.name,
        "title": report.spec.title,
        "days": report.spec.steps * report.spec.step_s / 86_400,
        "share_of_perfect": report.share_of_perfect,
        "gain_usd": report.gain_usd,
        "gain_share": report.gain_share,
        "best_rule": report.best_rule,
        "regret": None if report.regret is None else report.regret.model_dump(),
        "hours_left_out": report.policies[0].hours_left_out,
        "cpu_s": report.cpu_s,
        "cpu_s_per_hour": report.cpu_s_per_hour,
        "policies": {
            r.policy: {
                "profit_usd": r.profit_usd, "worst_hours_usd": r.worst_hours_usd, "cpu_s": r.cpu_s, "plans": r.plans,
                "plans_not_optimised": r.plans_not_optimised, "broken": len(r.broken),
            }
            for r in report.policies
        },
        "contracts": {c.contract: {"usd": c.usd, "sites": c.sites, "how": c.how} for c in report.contracts},
        "stand_ins": [words for r in report.policies for words in stand_in_words(r)],
        "paths": paths_verdict(report),
        "versions": report.versions,
    }  # fmt: skip


def published(reports: Sequence[Section]) -> str:
    """Return the table of periods."""
    heads = ("period", "of perfect foresight", "against the best rule", "missed: horizon, forecast, execution, gap",
             "worst 5 % of hours, an hour", "hours left out", "core-s a replayed hour")  # fmt: skip
    return columns(heads, [_row(one) for one in reports])


def _row(one: Section) -> tuple[str, ...]:
    plan, missed = one["policies"].get("plan"), one["regret"]
    share = "–" if one["share_of_perfect"] is None else percent(one["share_of_perfect"])
    gain = "–" if one["gain_usd"] is None else against(one["gain_usd"], one["best_rule"])
    gain += "" if one["gain_share"] is None else f" ({100 * one['gain_share']:+.1f} %)".replace("-", "−")
    names = ("horizon_usd", "forecast_error_usd", "execution_usd", "solver_gap_usd")
    return (
        f"{one['name']}, {one['days']:g} day{'' if one['days'] == 1 else 's'}", share, gain,
        "–" if missed is None else ", ".join(usd(missed[name]) for name in names),
        "–" if plan is None else usd(plan["worst_hours_usd"]), f"{one['hours_left_out']:g}", f"{one['cpu_s_per_hour']:.2f}",
    )  # fmt: skip


def section_words(section: Section) -> list[str]:
    """Return what is said below the table of a section: time, plans in time, rules told, broken rules."""
    reports = section["reports"]
    hours = sum(one["days"] * 24 for one in reports)
    cpu_s = sum(one["cpu_s"] for one in reports)
    policies = [r for one in reports for r in one["policies"].values()]
    plans, late = (sum(r[name] for r in policies) for name in ("plans", "plans_not_optimised"))
    took = f"{section['wall_s'] / 60:,.0f} min of wall time by {section['jobs']} processes" if section["wall_s"] else UNTIMED
    lines = [
        f"- {took}; {cpu_s:,.0f} core-seconds of all policies, {cpu_s / hours:.2f} for each of {hours:,.0f} replayed hours",
        f"- {plans:,} plans, {late} of them not optimised in time; {sum(r['broken'] for r in policies)} rules broken",
    ]
    lines += [f"- {one['name']}: {words}" for one in reports for words in one["stand_ins"]]
    return lines


def page(record: Mapping[str, Section]) -> str:
    """Return the page of all sections."""
    parts = [HEAD]
    for section in record.values():
        reports = section["reports"]
        parts.append(f"## {section['title']}\n\n    {section['command']}\n")
        parts.append(published(reports) + "\n")
        parts.append("\n".join(section_words(section)) + "\n")
        if paths := [f"- **{one['name']}**: {one['paths']}" for one in reports if one["paths"]]:
            parts.append("### Paths against means\n\n" + "\n".join(paths) + "\n")
        parts.append("### Policies\n\n" + _policies(reports) + "\n")
        if any(one["contracts"] for one in reports):
            parts.append(f"### What each contract added\n\n{SETTLED}\n\n{_contracts(reports)}\n")
        stands = dict.fromkeys(f"code {one['versions'].get('planning-code', '–')[:19]}" for one in reports)
        parts.append(f"Taken with wattsplit {section['release']}, {', '.join(stands)}.\n")
    return "\n".join(parts)


def _policies(reports: Sequence[Section]) -> str:
    rows = [
        (one["name"], title_of(name), usd(r["profit_usd"]), usd(r["worst_hours_usd"]), f"{r['cpu_s']:,.0f}")
        for one in reports
        for name, r in one["policies"].items()
    ]
    return columns(("period", "policy", "profit", "worst 5 % of hours, an hour", "core-s"), rows)


def _contracts(reports: Sequence[Section]) -> str:
    names = list(dict.fromkeys(name for one in reports for name in one["contracts"]))
    rows = [
        (name.replace("_", " "), *(usd(one["contracts"][name]["usd"]) if name in one["contracts"] else "–" for one in reports))
        for name in names
    ]
    return columns(("contract", *(one["name"] for one in reports)), rows)


def with_figures(readme: str, record: Mapping[str, Section]) -> str:
    """Return a README whose part between the marks holds the tables of all sections.

    Raises:
        ValueError: it lacks the marks.
    """
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"README.md: expected {BEGIN} and {END}")
    before, rest = readme.split(BEGIN, 1)
    tables = [f"`{section['command']}`:\n\n{published(section['reports'])}" for section in record.values()]
    return f"{before}{BEGIN}\n" + "\n\n".join(tables) + f"\n{END}{rest.split(END, 1)[1]}"
