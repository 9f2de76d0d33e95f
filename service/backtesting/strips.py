"""Hour by hour, as a calendar: a column for each local day, a row for each hour of it; colour says price, or what ran."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from scenarios.backtest.records import BacktestReport, PolicyResult
from service.backtesting.figures import mark, picture, words
from service.backtesting.plots import line_class, zone_of
from service.backtesting.words import title_of

PRICE_CLASSES = (0.0, 20.0, 40.0, 60.0, 100.0, 200.0, 1000.0)
"""Upper ends of all classes of price but the last. [USD/MWh]"""
SHARES = (0.02, 0.25, 0.5, 0.75, 0.9)
"""Upper ends of all classes of power but the last, as shares of the most that any policy drew."""

Cells = dict[tuple[date, int], list[float]]
PANEL, ROW_H, TOP, LEFT = 344.0, 5.0, 24.0, 34.0
OVERLAP = 0.3
"""By which a cell reaches into the next, so that rounding leaves no seam."""


def cells(report: BacktestReport, values: Sequence[float]) -> Cells:
    """Collect values by local day and hour; a doubled hour of autumn holds both its values, so does an hour of short steps."""
    zone, found = ZoneInfo(zone_of(report)), Cells()
    for start, value in zip(report.grid.starts, values, strict=True):
        local = start.astimezone(zone)
        found.setdefault((local.date(), local.hour), []).append(value)
    return found


def panel(report: BacktestReport, name: str, values: Sequence[float], class_of: Callable[[float], str], kind: str = "") -> str:
    """Draw one calendar, its classes as one path each."""
    held = cells(report, values)
    first = min(day for day, _ in held)
    days = (max(day for day, _ in held) - first).days + 1
    width = (PANEL - LEFT) / days
    box, drawn = f"h{width + OVERLAP:.2f}v{ROW_H:.0f}h-{width + OVERLAP:.2f}z", dict[str, list[str]]()
    for (day, hour), inside in held.items():
        x, y = LEFT + (day - first).days * width, TOP + hour * ROW_H
        drawn.setdefault(class_of(sum(inside) / len(inside)), []).append(f"M{x:.2f} {y:.0f}{box}")
    shapes = [mark("path", d="".join(parts), class_=f"cell {name}") for name, parts in sorted(drawn.items())]
    shapes += _days(first, days, width)
    hours = [words(f"{h:02d}", LEFT - 6, TOP + h * ROW_H + 2, "tick end middle") for h in (0, 6, 12, 18, 24)]
    most = f"{name}: {max(values):,.4g} at most, {sum(values) / len(values):,.4g} on average, by local day and hour."
    return picture(PANEL + 6, TOP + 24 * ROW_H + 22, most, words(name, LEFT, 13, f"name {kind}"), *shapes, *hours)


def _days(first: date, days: int, width: float) -> list[str]:
    every = next(n for n in (1, 2, 7, 14, 30, 90, 365) if days / n <= 5 or n == 365)
    bottom = TOP + 24 * ROW_H
    marks = []
    for n in range(0, days, every):
        at, x = first + timedelta(days=n), LEFT + n * width
        if x > PANEL - 30:
            continue
        marks.append(mark("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        marks.append(words(f"{at.day} {at:%b}", x, bottom + 17, "tick"))
    return marks


def price_class(value: float) -> str:
    """Return the class of a price."""
    return f"p{sum(value >= end for end in PRICE_CLASSES)}"


def power_class(most: float) -> Callable[[float], str]:
    """Return what names the class of a power out of the most that there is."""
    return lambda value: f"m{sum(value >= share * most for share in SHARES)}" if most else "m0"


def panels(report: BacktestReport) -> list[str]:
    """Draw the calendars of the price, and of what each policy mined."""
    drawn = [
        panel(report, f"Price, {name}, $/MWh", values, price_class, "price") for name, values in report.prices_usd_per_mwh.items()
    ]
    class_of = power_class(most_mining_mw(report))
    return drawn + [
        panel(report, f"{title_of(r.policy)}, MW", mining_mw(r), class_of, line_class(report, r.policy)) for r in report.policies
    ]


def mining_mw(result: PolicyResult) -> list[float]:
    """Return what is left of the draw without inference: hashing, and what miners draw asleep. [MW]"""
    return [max(0.0, draw - serving) for draw, serving in zip(result.draw_mw, result.inference_mw, strict=True)]


def most_mining_mw(report: BacktestReport) -> float:
    """Return the most that any policy mined with. [MW]"""
    return max(max(mining_mw(result)) for result in report.policies)


def legend(report: BacktestReport) -> Mapping[str, list[tuple[str, str]]]:
    """Return the classes with their words: of prices, and of mining."""
    ends = [f"{end:g}" for end in PRICE_CLASSES]
    between = [f"{a}–{b}" for a, b in pairwise(ends)]
    seen = {price_class(v) for values in report.prices_usd_per_mwh.values() for v in values}
    price = [("p0", "below 0"), *((f"p{n + 1}", said) for n, said in enumerate(between)), (f"p{len(ends)}", f"over {ends[-1]}")]
    most = most_mining_mw(report)
    bounds = [f"{share * most:,.3g}" for share in SHARES]
    mining = [
        ("m0", "none, or asleep"), *((f"m{n + 1}", f"{a}–{b}") for n, (a, b) in enumerate(pairwise(bounds))),
        (f"m{len(bounds)}", f"{bounds[-1]}–{most:,.3g}"),
    ]  # fmt: skip
    return {"$/MWh": [entry for entry in price if entry[0] in seen], "MW of mining": mining}
