"""A back-test as one HTML page: no script, nothing from elsewhere, for the screen and for paper."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from scenarios.backtest.records import BacktestReport, KnowledgeKind, Market
from service.backtesting import tables
from service.backtesting.plots import ahead, curves, stacks, waterfall, zone_of
from service.backtesting.strips import legend, panels
from service.backtesting.words import KIND_TITLES, SETTLED, by_kind, hours, paths_verdict, percent, title_of, usd, verdict

KNOWS: Mapping[KnowledgeKind, str] = {
    "perfect": "what came",
    "naive": "what a plain rule says",
    "model": "what a trained model says",
}


def report_page(report: BacktestReport, *, release: str) -> str:
    """Return the page of a report; `release` is the program's version, for its foot."""
    return _template().render(
        report=report, title=report.spec.title or report.spec.name, policy=content_policy(), style=Markup(_style()),
        period=_period(report), markets=", ".join(dict.fromkeys(m.market for m in report.spec.markets)), verdict=verdict(report),
        key=_key(report), broken=[f"{title_of(r.policy)}: {words}" for r in report.policies for words in r.broken],
        best_rule=tables.best_rule_words(report), left_out=not all(report.scored), name_of=title_of, zone=zone_of(report),
        curves=Markup(curves(report)), ahead=Markup(ahead(report)), stacks=Markup(stacks(report)),
        waterfall=Markup(waterfall(report.regret)) if report.regret else "", panels=[Markup(p) for p in panels(report)],
        legend=legend(report).items(), kinds=_kinds(report), policies=tables.policies(report), daily=tables.daily(report),
        terms=tables.terms(report), work=tables.work(report), by_price=tables.by_price(report),
        regret=tables.regret(report.regret) if report.regret else None, contracts=tables.contracts(report),
        paths=paths_verdict(report), settled=SETTLED if all(c.how == "settled" for c in report.contracts) else "",
        stand_ins=tables.stand_ins(report), flags=tables.flags(report),
        more_flags=max(0, len(report.flags) - tables.MOST_FLAGS), facts=_facts(report),
        release=release, digest=report.digest,
    )  # fmt: skip


def content_policy() -> str:
    """Return what a browser may load for a page: its own style, by digest, the font in it, and nothing else."""
    stamp = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{stamp}'; font-src data:; base-uri 'none'; form-action 'none'"


@cache
def _style() -> str:
    font = base64.b64encode((files("service.web") / "static" / "inter-latin.woff2").read_bytes()).decode()
    face = f"@font-face {{ font-family: Inter; src: url(data:font/woff2;base64,{font}); font-weight: 100 900; }}"
    return face + "\n" + (files("service.backtesting") / "templates" / "report.css").read_text()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("service.backtesting"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    return environment.get_template("report.html")


def _period(report: BacktestReport) -> str:
    grid = report.grid
    days = (grid.end - grid.start) / timedelta(days=1)
    length = f"{days:g} day{'' if days == 1 else 's'}" if days == round(days) else f"{days * 24:g} hours"
    start, end = (f"{at.day} {at:%b %Y %H:%M}" for at in (grid.start, grid.end))
    return f"{start} to {end} UTC, {length} in steps of {report.spec.step_s // 60} min"


def _key(report: BacktestReport) -> list[tuple[str, str, str]]:
    """Return the key figures: name, value, and what to know of it."""
    plan, found = report.result("plan"), []
    if plan is not None:
        found.append(("Profit of the plan", usd(plan.profit_usd), f"worst 5 % of hours: {usd(plan.worst_hours_usd)} an hour"))
    if report.share_of_perfect is not None:
        found.append(("Of perfect foresight", percent(report.share_of_perfect), "which sees the whole period"))
    if report.gain_usd is not None:
        share = f"{percent(abs(report.gain_share))} of {tables.best_rule_words(report)}" if report.gain_share is not None else ""
        found.append((f"{'Below' if report.gain_usd < 0 else 'Above'} the best rule", usd(abs(report.gain_usd)), share))
    scored = report.policies[0]
    found.append(("Scored", hours(scored.hours_scored), f"{hours(scored.hours_left_out)} left out"))
    found.append(("Core-seconds", f"{report.cpu_s_per_hour:,.2f}", "for each hour that was replayed"))
    return found


def _kinds(report: BacktestReport) -> list[tuple[str, str]]:
    """Return the kinds of money that any policy has, with what they are called."""
    moved = {kind for r in report.policies for kind, amount in by_kind(r).items() if abs(amount) >= 0.005}
    return [(kind, said) for kind, said in KIND_TITLES.items() if kind in moved]


def _facts(report: BacktestReport) -> list[tuple[str, str]]:
    """Return how the back-test was run: its settings, its markets, its sources and versions."""
    spec = report.spec
    return [
        ("history", spec.history),
        ("window", f"{spec.window_steps} steps, re-planned every step, at a gap of {spec.gap:g}"),
        ("a window knows", KNOWS[spec.knowledge]),
        ("month's charges", spec.terminal.replace("_", " ")),
        ("seed", str(spec.seed)),
        ("core-seconds", f"{report.cpu_s:,.0f} of all policies"),
        *((f"market {market.index}", _market(market)) for market in spec.markets),
        *((f"source of {name}", said) for name, said in report.sources.items()),
        *report.versions.items(),
    ]


def _market(market: Market) -> str:
    said = [market.market, market.kind.replace("_", "-"), market.currency, market.zone, f"{market.resolution_s // 60} min"]
    if market.instead:
        said.append(f"where missing: {market.instead}")
    return ", ".join(said) + (f"; {market.source}" if market.source else "")
