"""What was earned, as plots: money over time, where it comes from, what was missed; each with a label for listeners."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import accumulate
from statistics import median

from scenarios.backtest.records import BacktestReport, PolicyName, PolicyResult, Regret
from service.backtesting.figures import (
    Scale,
    apart,
    mark,
    path,
    picture,
    scale_of,
    thinned,
    time_marks,
    words,
)
from service.backtesting.words import KIND_TITLES, by_kind, named, short_usd, title_of, usd

WIDTH = 1120.0
LEFT, RIGHT = 64.0, 884.0
"""Where the plotting area of lines begins and ends; names of lines stand to the right of it."""
CUT_BELOW = 1.0
"""How far below zero, in times of the greatest value, a rule that is not the best may fall before a plot lets it go."""
STACK_LEFT, STACK_RIGHT = 176.0, 1020.0
ROW = 30.0


def zone_of(report: BacktestReport) -> str:
    """Return the zone that the markets share, else UTC."""
    zones = {market.zone for market in report.spec.markets}
    return zones.pop() if len(zones) == 1 else "UTC"


def line_class(report: BacktestReport, policy: PolicyName) -> str:
    """Return how a policy is drawn: the plan, what knows more, the best rule, other rules."""
    known = {
        "plan": "plan",
        "plan_stochastic": "paths",
        "plan_perfect": "windows",
        "perfect_foresight": "perfect",
        report.best_rule: "best",
    }
    return known.get(policy, "rule")


def curves(report: BacktestReport) -> str:
    """Draw the running profit of every policy over the scored hours."""
    lines = [(result, result.curve_usd) for result in report.policies]
    said = ", ".join(f"{title_of(r.policy)} {short_usd(curve[-1])}" for r, curve in lines)
    return _lines(report, lines, 330.0, f"Running profit of each policy. At the end: {said}.")


def ahead(report: BacktestReport) -> str:
    """Draw how far every policy is ahead of the best rule; nothing without one."""
    best = report.result(report.best_rule) if report.best_rule else None
    if best is None or len(report.policies) < 2:
        return ""
    lines = [(r, [a - b for a, b in zip(r.curve_usd, best.curve_usd, strict=True)]) for r in report.policies]
    said = ", ".join(f"{title_of(r.policy)} {short_usd(curve[-1])}" for r, curve in lines)
    label = f"Running profit above that of the best rule, {named(best.policy)}. At the end: {said}."
    return _lines(report, lines, 270.0, label)


def _lines(report: BacktestReport, lines: Sequence[tuple[PolicyResult, Sequence[float]]], height: float, label: str) -> str:
    grid = report.grid
    bottom = height - 24
    across = Scale(0.0, (grid.end - grid.start) / timedelta(hours=1), LEFT, RIGHT)
    high, low = max(0.0, *(max(curve) for _, curve in lines)), lowest_shown(report, lines)
    up = scale_of([high, *(max(low, min(curve)) for _, curve in lines)], bottom, 14)
    ends_h = [0.0, *accumulate(s / 3600 for s in grid.step_s)]
    order = sorted(lines, key=lambda line: line[0].policy in ("plan",))
    drawn = [_line(report, result, curve, ends_h, across, up) for result, curve in order]
    return picture(
        WIDTH, height, label, _left_out(report, across, 8, bottom), _money_grid(up), _time_axis(report, across, bottom), *drawn,
        _names(report, lines, up, bottom),
    )  # fmt: skip


def lowest_shown(report: BacktestReport, lines: Sequence[tuple[PolicyResult, Sequence[float]]]) -> float:
    """Return how far down a plot goes: as far as the plan, perfect foresight and the best rule, other rules if they stay near."""
    high = max(0.0, *(max(curve) for _, curve in lines))
    leading = [min(curve) for result, curve in lines if line_class(report, result.policy) not in ("rule", "best")]
    room = CUT_BELOW * high if leading else 2 * max(high, median(-min(curve) for _, curve in lines))
    best = [min(curve) for result, curve in lines if result.policy == report.best_rule]
    return min(0.0, -room, *leading, *best)


def _line(
    report: BacktestReport, result: PolicyResult, curve: Sequence[float], ends_h: Sequence[float], across: Scale, up: Scale
) -> str:
    held = [(0.0, 0.0), *((ends_h[t + 1], curve[t]) for t in thinned(len(curve)))]
    shown = next((n for n, (_, value) in enumerate(held) if value < up.low), len(held))
    points = [(across(h), up(value)) for h, value in held[:shown]]
    title = mark("title", f"{title_of(result.policy)}: {usd(curve[-1])}")
    return mark("path", title, d=path(points), class_=f"line {line_class(report, result.policy)}")


def _names(report: BacktestReport, lines: Sequence[tuple[PolicyResult, Sequence[float]]], up: Scale, bottom: float) -> str:
    ends = sorted(((min(up(curve[-1]), bottom), result, curve[-1]) for result, curve in lines), key=lambda end: (end[0], -end[2]))
    places = apart([y for y, _, _ in ends], 16, 12, bottom + 12)
    drawn = []
    for (y, result, end), place in zip(ends, places, strict=True):
        kind = line_class(report, result.policy)
        lead = [(RIGHT, y), (RIGHT + 8, y), (RIGHT + 16, place), (RIGHT + 20, place)]
        drawn += [
            mark("path", d=path(lead), class_="lead") if end >= up.low else words("↓", RIGHT + 8, place, "tick middle"),
            words(title_of(result.policy), RIGHT + 24, place, f"name {kind} middle"),
            words(short_usd(end), WIDTH, place, f"name {kind} middle end"),
        ]
    return "".join(drawn)


def _money_grid(up: Scale) -> str:
    ticks = up.ticks()
    rules = [mark("line", x1=LEFT, x2=RIGHT, y1=up(v), y2=up(v), class_="zero" if abs(v) < 1e-9 else "rule-line") for v in ticks]
    return "".join(rules) + "".join(words(short_usd(v), LEFT - 10, up(v), "tick end middle") for v in ticks)


def _time_axis(report: BacktestReport, across: Scale, bottom: float) -> str:
    grid, drawn = report.grid, []
    for at, said in time_marks(grid.start, grid.end, zone_of(report)):
        x = across((at - grid.start) / timedelta(hours=1))
        drawn.append(mark("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, class_="axis"))
        if x < RIGHT - 20:
            drawn.append(words(said, x, bottom + 19, "tick start" if x < LEFT + 14 else "tick centre"))
    return "".join(drawn)


def _left_out(report: BacktestReport, across: Scale, top: float, bottom: float) -> str:
    """Shade the hours that are left out of the score."""
    ends_h = [0.0, *accumulate(s / 3600 for s in report.grid.step_s)]
    bands, since = [], None
    for t, scored in enumerate((*report.scored, True)):
        if not scored and since is None:
            since = ends_h[t]
        elif scored and since is not None:
            bands.append((since, ends_h[t]))
            since = None
    return "".join(
        mark("rect", x=across(a), y=top, width=max(1.0, across(b) - across(a)), height=bottom - top, class_="left-out")
        for a, b in bands
    )


def stacks(report: BacktestReport) -> str:
    """Draw each policy's money by kind: what comes in to the right, what goes out to the left, and the profit as a mark."""
    money = [(result, by_kind(result)) for result in report.policies]
    into, out = ([sum(v for v in kinds.values() if (v > 0) == up) for _, kinds in money] for up in (True, False))
    least = -max(*into, *(-v for (r, _), v in zip(money, out, strict=True) if line_class(report, r.policy) != "rule"), 0.0)
    across = scale_of([*into, *(max(least, v) for v in out)] if any(into) else out, STACK_LEFT, STACK_RIGHT)
    bottom = 30 + ROW * len(money)
    ticks = across.ticks(7)
    grid = [
        mark("line", x1=across(v), x2=across(v), y1=26, y2=bottom, class_="zero" if abs(v) < 1e-9 else "rule-line")
        + words(short_usd(v), across(v), 16, "tick centre")
        for v in ticks
    ]
    rows = [_stack(report, result, kinds, across, 30 + ROW * n) for n, (result, kinds) in enumerate(money)]
    said = "; ".join(f"{title_of(r.policy)} {short_usd(r.profit_usd)}" for r, _ in money)
    return picture(WIDTH, bottom + 6, f"Profit of each policy by kind of money. {said}.", *grid, *rows)


def _stack(report: BacktestReport, result: PolicyResult, kinds: dict[str, float], across: Scale, top: float) -> str:
    drawn, out, into = [], 0.0, 0.0
    for kind, amount in kinds.items():
        start = into if amount >= 0 else out
        a, b = sorted((across(start), across(start + amount)))
        a, into, out = max(a, across.start), into + max(0.0, amount), out + min(0.0, amount)
        if b - a >= 0.3:
            title = mark("title", f"{title_of(result.policy)}, {KIND_TITLES[kind]}: {usd(amount)}")
            drawn.append(mark("rect", title, x=a, y=top + 5, width=b - a, height=ROW - 12, class_=f"money {kind}"))
    y, x = top + 2 + (ROW - 8) / 2, across(result.profit_usd)
    halo = ("profit-halo", "profit") if x >= across.start else ()
    kind = line_class(report, result.policy)
    return "".join(
        (
            words(title_of(result.policy), STACK_LEFT - 12, y, f"name {kind} end middle"),
            *drawn,
            *(_slits(across.start, top) for _ in range(across(out) < across.start)),
            *(mark("line", x1=x, x2=x, y1=top + 1, y2=top + ROW - 3, class_=c) for c in halo),
            words(short_usd(result.profit_usd), WIDTH, y, f"name {kind} end middle"),
        )
    )


REGRET = (
    ("horizon_usd", "seeing no further than a window"),
    ("forecast_error_usd", "forecast error"),
    ("execution_usd", "what machines could not do"),
    ("solver_gap_usd", "solver gap"),
)


def waterfall(regret: Regret) -> str:
    """Draw how perfect foresight's profit shrinks to the plan's, part by part; the scale is that of the parts."""
    parts = [(said, getattr(regret, name)) for name, said in REGRET]
    levels = list(accumulate((-amount for _, amount in parts), initial=regret.perfect_usd))
    low, high = min(*levels, regret.realised_usd), max(levels)
    room = 0.35 * (high - low or abs(high) or 1.0)
    across = Scale(low - room, high + 0.06 * room, 300.0, 1000.0)
    bottom = 34 + ROW * (len(parts) + 2)
    rows = [_whole("Perfect foresight", regret.perfect_usd, across, 30.0, "perfect")]
    for n, ((said, amount), before) in enumerate(zip(parts, levels, strict=False)):
        rows.append(_part(said, amount, before, across, 30 + ROW * (n + 1)))
    rows.append(_whole("Planned every hour", regret.realised_usd, across, 30 + ROW * (len(parts) + 1), "plan"))
    ticks = [
        mark("line", x1=across(v), x2=across(v), y1=26, y2=bottom, class_="rule-line")
        + words(short_usd(v), across(v), 16, "tick centre")
        for v in across.ticks(5)
    ]
    said = ", ".join(f"{what} {short_usd(amount)}" for what, amount in parts)
    label = f"From perfect foresight, {short_usd(regret.perfect_usd)}, to the plan, {short_usd(regret.realised_usd)}: {said}."
    return picture(WIDTH, bottom + 4, label, *ticks, *rows)


def _whole(name: str, amount: float, across: Scale, top: float, kind: str) -> str:
    """Draw a whole as a bar that is cut at its left: the axis does not begin at zero."""
    a, b, y = across.start, across(amount), top + 2 + (ROW - 8) / 2
    bar = mark("rect", x=a, y=top + 4, width=max(1.0, b - a), height=ROW - 10, class_=f"whole {kind}")
    return (
        words(name, a - 12, y, f"name {kind} end middle")
        + bar
        + _slits(a, top)
        + words(usd(amount), b + 10, y, f"name {kind} middle")
    )


def _slits(x: float, top: float) -> str:
    """Say that a bar goes on beyond where it begins."""
    slits = "".join(path([(x + by + 6, top + 2), (x + by, top + ROW - 4)]) for by in (6, 12))
    return mark("path", d=slits, class_="cut")


def _part(name: str, amount: float, before: float, across: Scale, top: float) -> str:
    a, b = sorted((across(before), across(before - amount)))
    y, sign = top + 2 + (ROW - 8) / 2, "lost" if amount >= 0 else "won"
    x = across(before - amount)
    drawn = [
        words(name, across.start - 12, y, "tick end middle"),
        mark("rect", x=a, y=top + 4, width=max(1.0, b - a), height=ROW - 10, class_=f"part {sign}"),
        mark("line", x1=x, x2=x, y1=top + 4, y2=top + ROW + 4, class_="link"),
        words(usd(-amount), b + 10, y, "tick middle"),
    ]
    return "".join(drawn)
