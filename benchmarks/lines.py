"""The lines of the engine's benchmark: which fleets, what is measured of each, what the engine must show, and what it does.

A line is a fleet and a gap: `45x24`, `45x24@1e-3`, `45x24-tight`, `45x288-5min`, `reference x 48`, `given`. Ratios are within
one round of measurements; a figure is the median of the rounds.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
CORE = ("45x24", "45x24@1e-3", "200x24", "45x168")
ALL = (
    "45x24", "45x24@1e-3", "45x24-flat", "45x24-identical", "45x24-tight", "5x24", "45x48", "45x168", "45x288-5min",
    "200x24", "1000x24", "given", "reference x 24", "reference x 48", "reference x 168",
)  # fmt: skip
GAPS: Mapping[str, float] = {"45x24": 5e-4, "given": 5e-4}
"""What is asked of a plan where it is not `USUAL_GAP`."""
USUAL_GAP = 1e-3
BESIDE: Mapping[str, tuple[str, ...]] = {
    "45x24": ("simplex", "ipx", "build", "best"),
    "45x24@1e-3": ("re-plan", "price refresh"),
    "45x48": ("re-plan", "price refresh"),
    "45x168": ("simplex", "build", "re-plan"),
    "200x24": ("simplex", "two workers"),
    "1000x24": ("simplex",),
    "5x24": ("simplex",),
    "given": ("simplex",),
    "reference x 48": ("command",),
}
"""What is measured beside the plan; of a line that is not named, nothing."""
PEERS: Mapping[str, tuple[str, ...]] = {
    "45x24": ("hipo", "mip", "scip", "linopy", "pypsa blocks", "pypsa rows"), "45x168": ("linopy",),
}  # fmt: skip
INSTALLED = ("hipo", "linopy", "pypsa blocks", "pypsa rows")
"""What needs the extra `peers`."""
ONCE = ("best", "mip", "scip", "pypsa blocks", "pypsa rows", "1000x24 simplex", "45x168 simplex",
        "45x168 re-plan")  # fmt: skip
"""Measured in the first round only: up to a minute each, and most of them end by their budget."""
ONE_ROUND = ("45x288-5min", "given", "reference x 24", "reference x 168")
"""Lines that are there for their size or kind and stand in no demand."""
LEAST_SITES = 45
"""Of the growth exponent; fewer are planned another way."""


def gap_of(line: str) -> float:
    """Return what is asked: by the name (`45x24@1e-3`), else by the table."""
    fleet, _, gap = line.partition("@")
    return float(gap) if gap else GAPS.get(fleet, USUAL_GAP)


def rounds_of(line: str, rounds: int, *, peers: bool) -> list[list[str]]:
    """Return what each round measures of a line."""
    named = ["plan", *BESIDE.get(line, ()), *(PEERS.get(line, ()) if peers else ())]
    again = [what for what in named if what not in ONCE and f"{line} {what}" not in ONCE]
    return [named] + [again] * (0 if line in ONE_ROUND else rounds - 1)


def row_of(line: str, gap: float, rounds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return all figures of a line: medians over the rounds, and ratios of the plan's CPU to others within each of them."""
    row: dict[str, Any] = {"line": line, "gap_asked": gap, "rounds": len(rounds)}
    for what, first in rounds[0].items():
        row[what] = {key: middle([one[what].get(key) for one in rounds if what in one]) for key in first}
    row["plan_by"], row["build_by"] = _ratios(rounds, "plan"), _ratios(rounds, "build")
    walls = [one["plan"].get("wall_s", 0) / one["two workers"]["wall_s"] for one in rounds if _is_known(one, "two workers")]
    if walls:
        row["wall_by_two_workers"] = faster = statistics.median(walls)
        row["serial_share"] = min(1.0, 2 / faster - 1)
        row["outside_engine_share"] = 1 - row["plan"]["engine_cpu_s"] / row["plan"]["cpu_s"]
    return row


def _is_known(one: Mapping[str, Mapping[str, Any]], what: str) -> bool:
    return one.get(what, {}).get("cpu_s") is not None


def _ratios(rounds: Sequence[Mapping[str, Mapping[str, Any]]], what: str) -> dict[str, float]:
    """Return CPU of one thing by that of each other thing; what is measured once stands against that round."""
    found: dict[str, list[float]] = {}
    for one in rounds:
        for other in one:
            if other != what and _is_known(one, what) and _is_known(one, other) and one[other]["cpu_s"] > 0:
                found.setdefault(other, []).append(one[what]["cpu_s"] / one[other]["cpu_s"])
    return {other: statistics.median(values) for other, values in found.items()}


def middle(values: Sequence[Any]) -> Any:
    """Return the median of what is a number, else the first."""
    known = [value for value in values if isinstance(value, int | float)]
    return statistics.median(known) if known else values[0] if values else None


# --- what must be shown -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Demand:
    """A sentence, the least and the goal of its figure, and how it is read off the rows by line; smaller is better, or larger."""

    what: str
    least: float
    goal: float
    figure: Callable[[Mapping[str, Row]], float | None]
    larger: bool = False
    unit: str = ""

    def verdict(self, rows: Mapping[str, Row]) -> tuple[float | None, str]:
        """Return the figure and how it stands: goal, met, missed, or not measured."""
        if (value := self.figure(rows)) is None:
            return None, "not measured"
        sign = -1 if self.larger else 1
        if sign * value <= sign * self.goal:
            return value, "goal"
        return value, "met" if sign * value <= sign * self.least else "missed"


def at(line: str, *keys: str) -> Callable[[Mapping[str, Row]], float | None]:
    """Return a reader of one figure of a line."""

    def read(rows: Mapping[str, Row]) -> float | None:
        value: Any = rows.get(line)
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, int | float) else None

    return read


def growth(rows: Mapping[str, Row]) -> float | None:
    """Return the exponent with which a plan's CPU grows from the fewest to the most sites of a day, all at the usual gap."""
    sized = []
    for line, row in rows.items():
        sites = line.partition("@")[0].removesuffix("x24")
        if sites.isdigit() and int(sites) >= LEAST_SITES and row["gap_asked"] == USUAL_GAP and row["plan"].get("cpu_s"):
            sized.append((int(sites), row["plan"]["cpu_s"]))
    if len(sized) < 2:
        return None
    (few, little), (many, much) = min(sized), max(sized)
    return math.log(much / little) / math.log(many / few)


def hardest(rows: Mapping[str, Row]) -> float | None:
    """Return the CPU of the hard kind that costs most by that of the ordinary fleet, all at the same gap."""
    ordinary = at("45x24@1e-3", "plan", "cpu_s")(rows)
    kinds = [at(f"45x24-{kind}", "plan", "cpu_s")(rows) for kind in ("flat", "identical", "tight")]
    return max(kind for kind in kinds if kind) / ordinary if ordinary and all(kinds) else None


DEMANDS = (
    Demand("45x24 plan at 5e-4 ÷ simplex relaxation, CPU", 1.0, 0.5, at("45x24", "plan_by", "simplex")),
    Demand("200x24 plan at 1e-3 ÷ simplex relaxation, CPU", 0.15, 0.08, at("200x24", "plan_by", "simplex")),
    Demand("45x24 best certified gap within 60 s", 3e-4, 1e-4, at("45x24", "best", "gap")),
    Demand("reference x 48, cold, file in to plan out, wall", 15, 5, at("reference x 48", "command", "wall_s"), unit="s"),
    Demand("45x168 plan to 1e-3, CPU", 75, 25, at("45x168", "plan", "cpu_s"), unit="s"),
    Demand("1000x24 plan to 1e-3, CPU", 90, 40, at("1000x24", "plan", "cpu_s"), unit="s"),
    Demand("1000x24 peak memory of all processes", 3, 1.5, at("1000x24", "plan", "memory_gib"), unit="GiB"),
    Demand("growth exponent of plan CPU, 45 to 1000 sites", 1.05, 1.0, growth),
    Demand("build and hand-over ÷ linopy's, 45x24", 0.05, 0.01, at("45x24", "build_by", "linopy")),
    Demand("the same, 45x168 (reported only)", math.inf, 0.01, at("45x168", "build_by", "linopy")),
    Demand("45x24 plan ÷ PyPSA, a unit per block of miners", 0.15, 0.05, at("45x24", "plan_by", "pypsa blocks")),
    Demand("45x24 plan ÷ PyPSA, a unit per row (reported only)", math.inf, 0.05, at("45x24", "plan_by", "pypsa rows")),
    Demand("45x24 next-hour re-plan ÷ cold plan, both at 1e-3, CPU", 0.6, 0.15, at("45x24@1e-3", "re-plan", "by_cold")),
    Demand("45x24 price refresh ÷ cold plan, both at 1e-3, CPU", 0.4, 0.05, at("45x24@1e-3", "price refresh", "by_cold")),
    Demand("the same two, 45x48, the service's window: re-plan", 0.6, 0.15, at("45x48", "re-plan", "by_cold")),
    Demand("and price refresh", 0.4, 0.05, at("45x48", "price refresh", "by_cold")),
    Demand("45x168 re-plan ÷ cold plan", 0.6, 0.15, at("45x168", "re-plan", "by_cold")),
    Demand("200x24 wall with 1 worker ÷ 2", 1.6, 1.9, at("200x24", "wall_by_two_workers"), larger=True),
    Demand("hardest kind (flat, identical, tight) ÷ ordinary, CPU", 3, 1, hardest),
)
