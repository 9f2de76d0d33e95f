"""The program of the solver child: reads one model from stdin, solves it by HiGHS, and streams frames to stdout.

It answers `progress` (seconds, objective, bound), `incumbent` (with the columns `x`) and one `final` frame. Improved
plans are sent the moment they are found, so that a parent that kills this process at its deadline loses none.
"""

import ctypes
import os
import signal
import sys
import time
from typing import IO, Any

import numpy as np

from optimizer import highs_wire as wire

PR_SET_PDEATHSIG = 1
PROGRESS_EVERY_S = 0.25


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
    """Return HiGHS with the model, the options and, where one came, the start in it."""
    import highspy

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    for name, value in header["options"].items():
        if highs.setOptionValue(name, value) == highspy.HighsStatus.kError:
            raise ValueError(f"HiGHS refuses the option {name}={value!r}")
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = arrays["cost"].size, arrays["row_lower"].size
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.offset_ = header["offset"]
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = arrays["cost"], arrays["col_lower"], arrays["col_upper"]
    lp.row_lower_, lp.row_upper_ = arrays["row_lower"], arrays["row_upper"]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = arrays["start"], arrays["index"], arrays["value"]
    if arrays["integer"].any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[flag] for flag in arrays["integer"].astype(int)]
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise ValueError("HiGHS refuses the model")
    if "hint" in arrays:
        known = np.flatnonzero(~np.isnan(arrays["hint"])).astype(np.int32)
        highs.setSolution(known.size, known, arrays["hint"][known])
    return highs


def stream(highs: Any, frames: IO[bytes]) -> None:
    """Send progress and improved plans from HiGHS' callbacks while it runs."""
    last_s = 0.0

    def say(event: Any) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= PROGRESS_EVERY_S:
            last_s = time.monotonic()
            out = event.data_out
            wire.write(frames, {"kind": "progress", **_finite(objective=out.mip_primal_bound, bound=out.mip_dual_bound)})

    def improved(event: Any) -> None:
        out = event.data_out
        numbers = _finite(objective=out.objective_function_value, bound=out.mip_dual_bound)
        wire.write(frames, {"kind": "incumbent", **numbers}, {"x": np.asarray(out.mip_solution, dtype="<f8")})

    highs.cbMipLogging.subscribe(say)
    highs.cbMipInterrupt.subscribe(say)
    highs.cbMipImprovingSolution.subscribe(improved)


def final(highs: Any, is_mip: bool) -> tuple[dict[str, Any], wire.Arrays]:
    """Return the last frame: model status, and columns and bound where HiGHS says that they are valid."""
    info, solution = highs.getInfo(), highs.getSolution()
    status = highs.getModelStatus().name.removeprefix("k")
    has_plan = bool(solution.value_valid) and info.primal_solution_status == 2
    bound = info.mip_dual_bound if is_mip else info.objective_function_value if status == "Optimal" else None
    numbers = _finite(objective=info.objective_function_value if has_plan else None, bound=bound)
    header = {"kind": "final", "status": status, "nodes": int(info.mip_node_count), **numbers}
    return header, {"x": np.asarray(solution.col_value, dtype="<f8")} if has_plan else {}


def _finite(**numbers: float | None) -> dict[str, float | None]:
    return {k: float(v) if v is not None and np.isfinite(v) and abs(v) < 1e30 else None for k, v in numbers.items()}


def main(parent: int) -> None:
    """Solve the one model that stands on stdin."""
    die_with_parent(parent)
    frames = keep_stdout_for_frames()
    header, arrays = wire.read(sys.stdin.buffer)
    highs = loaded(header, arrays)
    stream(highs, frames)
    highs.run()
    wire.write(frames, *final(highs, bool(arrays["integer"].any())))
    os._exit(0)  # HiGHS' threads need no farewell
