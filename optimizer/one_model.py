"""One model whole, in HiGHS: for few sites, and where the engine leaves off before the asked gap.

The linear relaxation comes first: its optimum is a certified bound. Then the same model with the counts of the plan before,
where there is one, and else with every count held next to its relaxed value, which is small and has good plans in it. Only
where the best of them is not yet within the asked gap of the bound does the whole model follow, beginning with it.
"""

import math
import time
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from optimizer import highs_wire as wire
from optimizer.compiled import Floats
from optimizer.highs_frames import Frame, Saying, Stream, final, finite
from optimizer.highs_models import begin_with, columns_of, found_plan, is_optimal
from optimizer.integers import WHOLE

NEXT_TO = "one model: its relaxation, and the counts next to it"
RESUMED = "one model: its relaxation, and the counts of the plan before"
SHARE_OF_TIME = 0.4
"""Of all of it, that a look at narrower bounds may take."""
LEAST_GAP = 1e-4
"""At which such a look ends, where half of what is asked is less."""
MANY = 1_000
"""A whole column that may be so many more is an amount, not a count."""


@dataclass(frozen=True, eq=False)
class LeftOff:
    """Where the engine leaves off before the asked gap.

    x: its best columns. bound_usd: what it has proved. prices: by row, NaN where no sites meet; how: in words.
    """

    x: Floats
    bound_usd: float
    prices: Floats
    how: str


def solve(highs: Any, header: dict[str, Any], arrays: wire.Arrays, frames: IO[bytes]) -> Frame:
    """Solve the whole model, by way of its relaxation and of what lies next to that; return the last frame."""
    begun_s, gap = time.monotonic(), header["options"]["mip_rel_gap"]
    is_mip = bool(arrays["integer"].any())
    running, say = Stream(highs, frames), Saying(frames)

    def worth_usd(x: Floats) -> float:
        return float(arrays["cost"] @ x) + float(header["offset"])

    say(doing=("relaxation",))
    if is_mip and (top := relaxed(highs)) is not None:
        x, bound_usd = top
        say(bound=bound_usd)
        start = arrays.get("hint")
        for look, how in enumerate((RESUMED, NEXT_TO), start=1):
            say(doing=("whole numbers", look))
            best = resumed(highs, header, arrays) if how == RESUMED else next_to(highs, x, header, arrays)
            if best is None:
                continue
            best_usd = worth_usd(best)
            if bound_usd - best_usd <= gap * abs(best_usd):
                numbers = finite(objective=best_usd, bound=bound_usd)
                return {"kind": "final", "status": "Optimal", "how": how, **numbers}, {"x": best}
            if start is None or not worth_usd(start) > best_usd:  # NaN, where it is incomplete
                start = best
        if start is not None:
            begin_with(highs, start)
    left_s = header["options"]["time_limit"] - (time.monotonic() - begun_s)
    last, columns = whole(highs, running, say, is_mip, left_s)
    return {**last, "how": "the whole model"}, columns


def go_on(highs: Any, header: dict[str, Any], frames: IO[bytes], before: LeftOff) -> Frame:
    """Solve the whole model from where the engine leaves off, until it is as good as the engine's bound demands.

    HiGHS' own bound is wider for long.
    """
    begin_with(highs, before.x)
    highs.setOptionValue("objective_target", enough(before.bound_usd, header["options"]["mip_rel_gap"]))
    last, columns = whole(highs, Stream(highs, frames), Saying(frames), True, header["options"]["time_limit"])
    return {**last, "how": f"{before.how}; then the whole model"}, {**columns, "prices": before.prices}


def whole(highs: Any, running: Stream, say: Saying, is_mip: bool, left_s: float) -> Frame:
    """Let HiGHS solve what is in it, in so many seconds; return the last frame."""
    running.knows_bound = True
    say(doing=("whole model",))
    highs.setOptionValue("time_limit", max(0.1, left_s))
    highs.run()
    return final(highs, is_mip)


def relaxed(highs: Any) -> tuple[Floats, float] | None:
    """Return columns and optimum [USD] of the linear relaxation, or nothing where it has none."""
    highs.setOptionValue("solve_relaxation", True)
    highs.run()
    highs.setOptionValue("solve_relaxation", False)
    return (columns_of(highs), float(highs.getInfo().objective_function_value)) if is_optimal(highs) else None


def next_to(highs: Any, x: Any, header: dict[str, Any], arrays: wire.Arrays) -> Any:
    """Return the best columns with all counts next to those of `x`: one to either side where they are no whole numbers.

    Amounts in whole units, such as kW of a reserve, follow the counts and stay free.
    """
    counts = np.flatnonzero(arrays["integer"]).astype(np.int32)
    lower, upper, near = arrays["col_lower"][counts], arrays["col_upper"][counts], x[counts]
    broken = np.abs(near - np.round(near)) > WHOLE
    amounts = upper - lower > MANY
    low = np.where(amounts, lower, np.where(broken, np.floor(near) - 1, np.round(near)))
    high = np.where(amounts, upper, np.where(broken, np.ceil(near) + 1, np.round(near)))
    return best_within(highs, counts, np.maximum(lower, low), np.minimum(upper, high), header, arrays)


def resumed(highs: Any, header: dict[str, Any], arrays: wire.Arrays) -> Any:
    """Return the best columns with the counts of the plan before, as far as they are known; nothing where they break a rule."""
    known = arrays.get("known_counts", np.full(arrays["cost"].size, np.nan))
    counts = np.flatnonzero(arrays["integer"].astype(np.bool_) & np.isfinite(known)).astype(np.int32)
    at = np.round(known[counts])
    if not counts.size or ((at < arrays["col_lower"][counts]) | (at > arrays["col_upper"][counts])).any():
        return None
    return best_within(highs, counts, at, at, header, arrays)


def best_within(highs: Any, counts: Any, low: Any, high: Any, header: dict[str, Any], arrays: wire.Arrays) -> Any:
    """Return the best columns found with some counts in narrower bounds, or nothing."""
    options = header["options"]
    highs.clearSolver()
    highs.changeColsBounds(counts.size, counts, low, high)
    highs.setOptionValue("time_limit", SHARE_OF_TIME * options["time_limit"])
    highs.setOptionValue("mip_rel_gap", max(LEAST_GAP, options["mip_rel_gap"] / 2))
    highs.run()
    best = columns_of(highs) if found_plan(highs) else None
    highs.clearSolver()
    highs.changeColsBounds(counts.size, counts, arrays["col_lower"][counts], arrays["col_upper"][counts])
    highs.setOptionValue("mip_rel_gap", options["mip_rel_gap"])
    return best


def enough(bound_usd: float, gap: float) -> float:
    """Return the least objective that is within a gap of a bound: bound - objective <= gap * |objective|. [USD]

    Below nothing, objective * (1 - gap) >= bound: a gap of 1 and more is kept by any objective then.
    """
    if bound_usd > 0:
        return bound_usd / (1 + gap)
    return bound_usd / (1 - gap) if gap < 1 else -math.inf
