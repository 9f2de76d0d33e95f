"""The program of the solver child: reads one model from stdin, solves it by HiGHS, and streams frames to stdout.

It answers `progress` (objective, bound), `incumbent` (with the columns `x`) and one `final` frame. Improved plans are
sent the moment they are found, so that a parent that kills this process at its deadline loses none.

A fleet of many sites is planned by `engine`, site by site; where that comes to nothing and nothing else was asked for, the
answer is `Open`. Fewer sites are one model:

The linear relaxation comes first: its optimum is a certified bound. Then the same model with the counts of the plan before,
where there is one, and else with every count held next to its relaxed value, which is small and has good plans in it. Only
where the best of them is not yet within the asked gap of the bound does the whole model follow, beginning with it.
"""

import ctypes
import math
import os
import signal
import sys
import time
from typing import IO, Any

import numpy as np

from optimizer import highs_wire as wire
from optimizer.beginning import Beginning
from optimizer.blocks import MANY_SITES, program_of, split
from optimizer.doing import Doing

PR_SET_PDEATHSIG = 1
PROGRESS_EVERY_S = 0.25
FEASIBLE = 2
"""HiGHS' word for a primal solution that keeps all rows."""
NEXT_TO = "one model: its relaxation, and the counts next to it"
RESUMED = "one model: its relaxation, and the counts of the plan before"
WHOLE = 1e-6
SHARE_OF_TIME = 0.4
LEAST_GAP = 1e-4
MANY = 1_000
"""A whole column that may be so many more is an amount, not a count."""
SETTLED = "settled"
"""Name of the columns with which the engine leaves off."""
BOUND = "proven"
"""Name of the bound that it has proved. [USD]"""
MOST_INTEGERS = 60_000
"""Beyond so many the whole model in HiGHS comes to nothing in any useful time."""


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def keep_stdout_for_frames() -> IO[bytes]:
    """Return the real stdout for frames; whatever a library prints goes to stderr instead."""
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return frames


def loaded(header: dict[str, Any], arrays: wire.Arrays) -> Any:
    """Return HiGHS with the model and the options in it."""
    from optimizer.highs_models import highs_of

    return highs_of(program_of(arrays), header["options"], whole=True, offset=header["offset"])


class Stream:
    """Sends progress and improved plans from HiGHS' callbacks while it runs.

    knows_bound: whether the bound of the running model is one of the whole model; the smaller model's is not.
    """

    def __init__(self, highs: Any, frames: IO[bytes]) -> None:
        self.knows_bound = False
        self._frames, self._last_s = frames, 0.0
        highs.cbMipLogging.subscribe(self._say)
        highs.cbMipInterrupt.subscribe(self._say)
        highs.cbMipImprovingSolution.subscribe(self._improved)

    def _say(self, event: Any) -> None:
        if self.knows_bound and time.monotonic() - self._last_s >= PROGRESS_EVERY_S:
            self._last_s = time.monotonic()
            out = event.data_out
            numbers = finite(objective=out.mip_primal_bound, bound=out.mip_dual_bound)
            wire.write(self._frames, {"kind": "progress", **numbers})

    def _improved(self, event: Any) -> None:
        out = event.data_out
        bound = out.mip_dual_bound if self.knows_bound else None
        numbers = finite(objective=out.objective_function_value, bound=bound)
        wire.write(self._frames, {"kind": "incumbent", **numbers}, {"x": np.asarray(out.mip_solution, dtype="<f8")})


class Saying:
    """Sends what the engine knows and does: plans and bounds at once, what it is at as often as somebody can read it."""

    def __init__(self, frames: IO[bytes]) -> None:
        self._frames, self._last_s, self._last_what = frames, 0.0, ""

    def __call__(
        self, *, bound: float | None = None, objective: float | None = None, x: Any = None, doing: tuple[Any, ...] | None = None
    ) -> None:
        """Send a frame, unless it would only say again what is being done."""
        said: dict[str, Any] = {}
        if doing is not None:
            now_s = time.monotonic()
            if doing[0] == self._last_what and now_s - self._last_s < PROGRESS_EVERY_S:
                return
            self._last_s, self._last_what, said = now_s, doing[0], {"doing": Doing(*doing).header}
        kind = "progress" if x is None else "incumbent"
        wire.write(
            self._frames, {"kind": kind, **finite(objective=objective, bound=bound), **said}, {} if x is None else {"x": x}
        )


def enough(bound: float, gap: float) -> float:
    """Return the least objective that is within a gap of a bound: bound - objective <= gap * |objective|.

    Below nothing, objective * (1 - gap) >= bound: a gap of 1 and more is kept by any objective then.
    """
    if bound > 0:
        return bound / (1 + gap)
    return bound / (1 - gap) if gap < 1 else -math.inf


def relaxed(highs: Any) -> tuple[Any, float] | None:
    """Return columns and optimum of the linear relaxation, or nothing where it has none."""
    highs.setOptionValue("solve_relaxation", True)
    highs.run()
    highs.setOptionValue("solve_relaxation", False)
    if highs.getModelStatus().name != "kOptimal":
        return None
    return np.asarray(highs.getSolution().col_value), float(highs.getInfo().objective_function_value)


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
    solution, found = highs.getSolution(), highs.getInfo().primal_solution_status == FEASIBLE
    best = np.array(solution.col_value, dtype="<f8") if solution.value_valid and found else None
    highs.clearSolver()
    highs.changeColsBounds(counts.size, counts, arrays["col_lower"][counts], arrays["col_upper"][counts])
    highs.setOptionValue("mip_rel_gap", options["mip_rel_gap"])
    return best


def solve(highs: Any, header: dict[str, Any], arrays: wire.Arrays, frames: IO[bytes]) -> tuple[dict[str, Any], wire.Arrays]:
    """Solve the whole model, by way of its relaxation and of what lies next to that; return the last frame."""
    begun_s, limit_s = time.monotonic(), header["options"]["time_limit"]
    running = Stream(highs, frames)
    say = Saying(frames)
    say(doing=("relaxation",))
    if arrays["integer"].any() and (top := relaxed(highs)) is not None:
        x, bound = top
        wire.write(frames, {"kind": "progress", **finite(objective=None, bound=bound)})
        start = arrays.get(SETTLED, arrays.get("hint"))
        for look, how in enumerate(() if SETTLED in arrays else (RESUMED, NEXT_TO), start=1):
            say(doing=("whole numbers", look))
            best = resumed(highs, header, arrays) if how == RESUMED else next_to(highs, x, header, arrays)
            if best is None:
                continue
            objective = float(arrays["cost"] @ best) + header["offset"]
            if bound - objective <= header["options"]["mip_rel_gap"] * abs(objective):
                return {"kind": "final", "status": "Optimal", "how": how, **finite(objective=objective, bound=bound)}, {"x": best}
            if start is None or not arrays["cost"] @ start + header["offset"] > objective:  # NaN, where it is incomplete
                start = best
        if start is not None:
            from optimizer.highs_models import begin_with

            begin_with(highs, start)
    running.knows_bound = True
    say(doing=("whole model",))
    highs.setOptionValue("time_limit", max(0.1, limit_s - (time.monotonic() - begun_s)))
    if BOUND in header:  # HiGHS' own is wider for long
        highs.setOptionValue("objective_target", enough(header[BOUND], header["options"]["mip_rel_gap"]))
    highs.run()
    last, columns = final(highs, bool(arrays["integer"].any()))
    known = {"prices": arrays["prices"]} if "prices" in arrays else {}
    return {**last, "how": header.get("so_far", "") + "the whole model"}, columns | known


def final(highs: Any, is_mip: bool) -> tuple[dict[str, Any], wire.Arrays]:
    """Return the last frame: model status, and columns and bound where HiGHS says that they are valid."""
    info, solution = highs.getInfo(), highs.getSolution()
    status = highs.getModelStatus().name.removeprefix("k")
    has_plan = bool(solution.value_valid) and info.primal_solution_status == FEASIBLE
    bound = info.mip_dual_bound if is_mip else info.objective_function_value if status == "Optimal" else None
    numbers = finite(objective=info.objective_function_value if has_plan else None, bound=bound)
    header = {"kind": "final", "status": status, "nodes": int(info.mip_node_count), **numbers}
    return header, {"x": np.asarray(solution.col_value, dtype="<f8")} if has_plan else {}


def finite(**numbers: float | None) -> dict[str, float | None]:
    """Return numbers as a header can hold them: None for what is infinite or no number."""
    return {k: float(v) if v is not None and np.isfinite(v) and abs(v) < 1e30 else None for k, v in numbers.items()}


def by_sites(header: dict[str, Any], arrays: wire.Arrays, frames: IO[bytes]) -> tuple[dict[str, Any], wire.Arrays] | None:
    """Plan a fleet of many sites, or of many steps, by the engine; return the last frame, or nothing where one model is better.

    Where the engine comes to its end before the asked gap, its plan is where the whole model begins.
    """
    sites = arrays.get("site", np.full(1, -1)).max(initial=-1) + 1
    from optimizer.engine import plan_fleet
    from optimizer.integers import MANY_COUNTS

    counts = int(arrays["integer"].sum())
    is_long = sites > 0 and counts > MANY_COUNTS * sites
    if not counts or (sites < MANY_SITES and not is_long):
        return None
    begun_s, options = time.monotonic(), header["options"]
    say = Saying(frames)
    say(doing=("relaxation",))
    me = os.getpid()
    blocks = split(program_of(arrays), arrays["site"].astype(np.int64))
    warm = None
    if "known_counts" in arrays:
        warm = Beginning(arrays["known_counts"], arrays["known_prices"], header["is_of_these_steps"])
    workers, url, prepare = header.get("workers", 1), header.get("engine"), lambda: die_with_parent(me)
    found = plan_fleet(blocks, options, header["offset"], workers, say, prepare, warm, url)
    options["time_limit"] = max(0.1, options["time_limit"] - (time.monotonic() - begun_s))
    if found is None:
        return None
    prices = np.full(blocks.whole.row_lower.size, np.nan)
    prices[blocks.meeting] = found.prices
    if found.status == "WorkLimit" and arrays["integer"].sum() <= MOST_INTEGERS:
        header["so_far"], header[BOUND] = f"{found.how}; then ", found.bound_usd
        arrays[SETTLED], arrays["prices"] = found.x, prices
        return None
    numbers = finite(objective=found.objective_usd, bound=found.bound_usd)
    return {"kind": "final", "status": found.status, "how": found.how, **numbers}, {"x": found.x, "prices": prices}


def main(parent: int) -> None:
    """Solve the one model that stands on stdin."""
    die_with_parent(parent)
    frames = keep_stdout_for_frames()
    header, arrays = wire.read(sys.stdin.buffer)
    way = header.get("way", "best")
    answer = by_sites(header, arrays, frames) if way != "one model" else None
    if answer is None and way == "sites" and SETTLED not in arrays:
        answer = {"kind": "final", "status": "Open"}, {}
    wire.write(frames, *(answer or solve(loaded(header, arrays), header, arrays, frames)))
    os._exit(0)  # HiGHS' threads need no farewell
