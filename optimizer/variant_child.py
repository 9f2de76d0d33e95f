"""The program that solves one model many times with some bounds changed: reads it from stdin, streams an answer for each.

Each answer says how the variant ended, objective and bound, and brings its columns; that of a relaxed one also the duals of
its rows. A parent that kills this process at its deadline keeps all answers before.
"""

import os
import sys
import time
from typing import IO, Any

import numpy as np

from optimizer import highs_wire as wire
from optimizer.child import die_with_parent, keep_stdout_for_frames
from optimizer.highs_frames import Frame, finite
from optimizer.highs_models import columns_of, found_plan, loaded

LEAST_S = 0.1
SHARES = 1.5
FIRST_SHARES = 3.0
"""A variant may take so many even shares of the time that is left; the first more, since the others are measured by it."""


def answer_all(highs: Any, header: dict[str, Any], arrays: wire.Arrays, frames: IO[bytes]) -> None:
    """Solve every variant and write its answer."""
    begun_s, ends = time.monotonic(), arrays["variant_ends"].tolist()
    for number, (first, end) in enumerate(zip([0, *ends], ends, strict=False)):
        left_s = header["deadline_s"] - (time.monotonic() - begun_s)
        if left_s <= LEAST_S:
            return
        share = (SHARES if number else FIRST_SHARES) / (len(ends) - number)
        columns = arrays["variant_columns"][first:end].astype(np.int32)
        is_relaxed = bool(arrays["variant_relaxed"][number])
        highs.clearSolver()
        highs.setOptionValue("time_limit", max(LEAST_S, min(left_s, left_s * share)))
        highs.setOptionValue("solve_relaxation", is_relaxed)
        if columns.size:
            bounds = arrays["variant_lower"][first:end], arrays["variant_upper"][first:end]
            highs.changeColsBounds(columns.size, columns, *bounds)
        highs.run()
        wire.write(frames, *_answer(highs, number, is_relaxed or not arrays["integer"].any()))
        if columns.size:
            highs.changeColsBounds(columns.size, columns, arrays["col_lower"][columns], arrays["col_upper"][columns])


def _answer(highs: Any, number: int, is_relaxed: bool) -> Frame:
    info, solution, status = highs.getInfo(), highs.getSolution(), highs.getModelStatus().name.removeprefix("k")
    found = found_plan(highs)
    bound = info.objective_function_value if is_relaxed and status == "Optimal" else None if is_relaxed else info.mip_dual_bound
    arrays = {"x": columns_of(highs)} if found else {}
    if found and is_relaxed and status == "Optimal" and solution.dual_valid:
        arrays["row_dual"] = np.asarray(solution.row_dual, dtype="<f8")
    return {"kind": "variant", "number": number, "status": status, **finite(bound=bound)}, arrays


def main(parent: int) -> None:
    """Solve the variants of the one model that stands on stdin."""
    die_with_parent(parent)
    frames = keep_stdout_for_frames()
    header, arrays = wire.read(sys.stdin.buffer)
    answer_all(loaded(header, arrays), header, arrays, frames)
    os._exit(0)  # HiGHS' threads need no farewell
