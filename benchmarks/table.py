"""The engine's figures for people: a line in words, the page `engine.md`, the picture `engine.svg`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lines import DEMANDS, Row, growth

BEGIN, END = "<!-- written by the engine's benchmark -->", "<!-- until here -->"
BESIDE = ("simplex", "ipx", "hipo", "mip", "scip", "linopy", "pypsa blocks", "pypsa rows")
COLOURS = {"plan": "#0072B2", "simplex": "#D55E00"}
CALLED = {"plan": "plan, audited", "simplex": "relaxation by simplex"}


def told(row: Row) -> str:
    """Return a row in words."""
    plan = row["plan"]
    if "failed" in plan:
        return f"{row['line']:>16}: {plan['failed']}"
    parts = [
        f"{row['line']:>16}: gap {plan['gap']:.2e} (asked {row['gap_asked']:.0e}), plan {plan['cpu_s']:.2f} s CPU "
        f"{plan['wall_s']:.2f} s wall {plan['memory_gib']:.2f} GiB, engine {plan['engine_cpu_s']:.2f} s"
    ]
    for what in row:
        if isinstance(row[what], Mapping) and what not in ("plan", "plan_by", "build_by"):
            parts.append(f"{what} {_figure(row[what])}" + _ratio(row, what))
    if "serial_share" in row:
        parts.append(
            f"wall of 1 worker ÷ 2: {row['wall_by_two_workers']:.2f}, serial share {row['serial_share']:.0%}"
            f" ({row['outside_engine_share']:.0%} of the CPU is outside the engine)"
        )
    return "; ".join(parts)


def _ratio(row: Row, what: str) -> str:
    if "by_cold" in row[what]:
        return f" (÷ cold {row[what]['by_cold']:.2f})"
    by = row["build_by"] if what == "linopy" else row["plan_by"] if what in BESIDE else {}
    return f" ({'build' if what == 'linopy' else 'plan'} ÷ it {_share(row, what, by[what])})" if what in by else ""


def _share(row: Row, what: str, value: float) -> str:
    """Return a ratio in words; at most so much where the other was stopped before it came to the asked gap."""
    gap, status = row[what].get("gap"), str(row[what].get("status", ""))
    stopped = "limit" in status or ("gap" in row[what] and (gap is None or gap > row["gap_asked"]))
    return f"{'≤ ' if stopped else ''}{value:.3g}"


def _figure(figures: Row) -> str:
    if "failed" in figures:
        return str(figures["failed"])
    words = f"{figures['cpu_s']:.2f} s"
    if "gap" in figures:
        gap = figures["gap"]
        words += f" gap {gap:.1e}" if gap is not None else " no plan"
    return words + (f" {figures['status']}" if str(figures.get("status", "kOptimal")) != "kOptimal" else "")


def verdicts(rows: Mapping[str, Row]) -> list[tuple[str, str, str, str, str]]:
    """Return what must be shown, least, goal, measured, and how it stands."""
    found = []
    for demand in DEMANDS:
        value, stands = demand.verdict(rows)
        sign = "≥" if demand.larger else "≤"
        least = "–" if math.isinf(demand.least) else f"{sign} {demand.least:g} {demand.unit}".strip()
        if math.isinf(demand.least) and value is not None:
            stands = "reported"
        measured = "–" if value is None else f"{value:.3g} {demand.unit}".strip()
        found.append((demand.what, least, f"{sign} {demand.goal:g} {demand.unit}".strip(), measured, stands))
    return found


def columns(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown whose columns line up."""
    widths = [max(len(line[n]) for line in [heads, *lines]) for n in range(len(heads))]

    def laid(line: Sequence[str]) -> str:
        return "| " + " | ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)) + " |"

    return "\n".join([laid(heads), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(laid, lines)])


def demanded(record: Mapping[str, Any]) -> str:
    """Return the table of what must be shown."""
    rows = {row["line"]: row for row in record["rows"]}
    return columns(("what must be shown", "at least", "goal", "measured", "stands"), verdicts(rows))


def with_figures(readme: str, record: Mapping[str, Any]) -> str:
    """Return the README with the table of what must be shown between its two marks, as it was measured."""
    before, _, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"README.md: expected {BEGIN} and, below it, {END}")
    machine = f"{record['machine']}; {record['at'][:10]}; all lines in [benchmarks/engine.md](benchmarks/engine.md)."
    return f"{before}{BEGIN}\n\n{demanded(record)}\n\n{machine}\n\n{END}{after}"


def page(record: Mapping[str, Any]) -> str:
    """Return the whole record as a page in Markdown."""
    rows = {row["line"]: row for row in record["rows"]}
    heads = ("fleet", "gap asked", "gap", "plan CPU s", "of it engine", "wall s", "GiB", "LP simplex s", "plan ÷ LP")
    lines = [_line(row) for row in rows.values()]
    peers = [_peer(row, what) for row in rows.values() for what in BESIDE[1:] if what in row]
    peers_told = columns(("fleet", "peer", "CPU", "ours ÷ it", "of"), peers) + "\n\n" if peers else ""
    exponent = growth(rows)
    return (
        "# The engine's benchmark\n\nWritten by `python3 dev.py bench --all --peers --repeat 3 --write`. "
        f"{record['machine']}; {record['at']}; medians of the rounds, ratios within a round.\n\n{demanded(record)}\n\n"
        f"{columns(heads, lines)}\n\n{peers_told}![CPU seconds against sites](engine.svg)\n\n"
        + (f"CPU of a plan grows with sites to the power of {exponent:.2f}.\n" if exponent is not None else "")
    )


def _peer(row: Row, what: str) -> tuple[str, ...]:
    by = row[_by(what)].get(what)
    return row["line"], what, _figure(row[what]), "–" if by is None else _share(row, what, by), _by(what).removesuffix("_by")


def _by(what: str) -> str:
    return "build_by" if what == "linopy" else "plan_by"


def _line(row: Row) -> tuple[str, ...]:
    plan, lp = row["plan"], row.get("simplex", {})
    if "failed" in plan:
        return (row["line"], f"{row['gap_asked']:.0e}", plan["failed"], *("–",) * 6)
    figures = [f"{plan[key]:.2f}" for key in ("cpu_s", "engine_cpu_s", "wall_s", "memory_gib")]
    seconds = lp.get("cpu_s")
    by = row["plan_by"].get("simplex")
    return (row["line"], f"{row['gap_asked']:.0e}", f"{plan['gap']:.1e}", *figures,
            "–" if seconds is None else f"{seconds:.2f}", "–" if by is None else f"{by:.2f}")  # fmt: skip


def picture(rows: Sequence[Row]) -> str:
    """Draw CPU seconds against sites, both logarithmic: plans of a day, and the relaxation of the same fleets by simplex."""
    width, height, left, bottom = 640, 360, 60, 45
    days = {row["line"]: row for row in rows if row["line"].partition("@")[0].removesuffix("x24").isdigit()}

    def place(sites: float, cpu: float) -> tuple[float, float]:
        across = left + (math.log10(sites) - 0.5) / 2.7 * (width - left - 20)
        return round(across, 1), round(20 + (2.3 - math.log10(cpu)) / 4 * (height - bottom - 20), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for cpu in (0.1, 1.0, 10.0, 100.0):
        _, down = place(10, cpu)
        parts.append(f'<path d="M{left} {down}H{width - 20}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{down + 4}" text-anchor="end">{cpu:g} s</text>')
    for sites in (5, 45, 200, 1000):
        across, _ = place(sites, 1)
        parts.append(f'<text x="{across}" y="{height - 22}" text-anchor="middle">{sites}</text>')
    parts.append(
        f'<text x="{width - 20}" y="{height - 6}" text-anchor="end">sites, 24 hours, gap 0.1 % (45 sites: 0.05 % too)</text>'
    )
    for n, what in enumerate(COLOURS):
        known = [(int(line.split("x")[0]), row[what]["cpu_s"]) for line, row in days.items() if row.get(what, {}).get("cpu_s")]
        points = [place(sites, cpu) for sites, cpu in sorted(known)]
        parts += [f'<circle cx="{x}" cy="{y}" r="4" fill="{COLOURS[what]}"/>' for x, y in points]
        parts.append(f'<text x="{left + 12}" y="{34 + 16 * n}" fill="{COLOURS[what]}">{CALLED[what]}, CPU</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
