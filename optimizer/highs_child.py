"""The program of the solver child: reads one model from stdin, solves it by HiGHS, and streams frames to stdout.

It answers `progress` (objective, bound), `incumbent` (with the columns `x`) and one `final` frame. Improved plans are
sent the moment they are found, so that a parent that kills this process at its deadline loses none.

A fleet of many sites, or of very many counts a site, is planned by `engine`, site by site; where that comes to nothing and
nothing else was asked for, the answer is `Open`. All else, and what the engine leaves off at, is one model (`one_model`).
"""

import os
import sys
import time
from typing import IO, Any

import numpy as np

from optimizer import highs_wire as wire
from optimizer.beginning import Beginning
from optimizer.blocks import MANY_SITES, program_of, split
from optimizer.child import die_with_parent, keep_stdout_for_frames
from optimizer.engine import plan_fleet
from optimizer.highs_frames import Frame, Saying, finite
from optimizer.highs_models import loaded
from optimizer.integers import MANY_COUNTS
from optimizer.one_model import LeftOff, go_on, solve

MOST_INTEGERS = 60_000
"""Beyond so many the whole model in HiGHS comes to nothing in any useful time."""


def by_sites(header: dict[str, Any], arrays: wire.Arrays, frames: IO[bytes]) -> Frame | LeftOff | None:
    """Plan a fleet of many sites, or of many steps, by the engine; return the last frame, or where it leaves off.

    The latter where it comes to its end before the asked gap, and the whole model can go on; nothing where one model is better.
    """
    sites, counts = int(arrays["site"].max(initial=-1)) + 1, int(arrays["integer"].sum())
    is_long = sites > 0 and counts > MANY_COUNTS * sites
    if not counts or (sites < MANY_SITES and not is_long):
        return None
    say, me = Saying(frames), os.getpid()
    say(doing=("relaxation",))
    blocks = split(program_of(arrays), arrays["site"].astype(np.int64))
    warm = None
    if "known_counts" in arrays:
        warm = Beginning(arrays["known_counts"], arrays["known_prices"], header["is_of_these_steps"])
    found = plan_fleet(
        blocks, header["options"], header["offset"], header["workers"], say, lambda: die_with_parent(me), warm, header["engine"]
    )
    if found is None:
        return None
    prices = np.full(blocks.whole.row_lower.size, np.nan)
    prices[blocks.meeting] = found.prices
    if found.status == "WorkLimit" and counts <= MOST_INTEGERS:
        return LeftOff(found.x, found.bound_usd, prices, found.how)
    numbers = finite(objective=found.objective_usd, bound=found.bound_usd)
    return {"kind": "final", "status": found.status, "how": found.how, **numbers}, {"x": found.x, "prices": prices}


def main(parent: int) -> None:
    """Solve the one model that stands on stdin."""
    die_with_parent(parent)
    frames = keep_stdout_for_frames()
    header, arrays = wire.read(sys.stdin.buffer)
    begun_s, way, options = time.monotonic(), header["way"], header["options"]
    answer = by_sites(header, arrays, frames) if way != "one model" else None
    options["time_limit"] = max(0.1, options["time_limit"] - (time.monotonic() - begun_s))
    if answer is None and way == "sites":
        answer = {"kind": "final", "status": "Open"}, {}
    if answer is None:
        answer = solve(loaded(header, arrays), header, arrays, frames)
    elif isinstance(answer, LeftOff):
        answer = go_on(loaded(header, arrays), header, frames, answer)
    wire.write(frames, *answer)
    os._exit(0)  # HiGHS' threads need no farewell
