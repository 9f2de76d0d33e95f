"""What a HiGHS child says while it works and at its end, in frames (`optimizer.highs_wire`)."""

import time
from typing import IO, Any

import numpy as np

from optimizer import highs_wire as wire
from optimizer.doing import Doing
from optimizer.highs_models import columns_of, found_plan

PROGRESS_EVERY_S = 0.25

Frame = tuple[dict[str, Any], wire.Arrays]
"""What is said, and the arrays that belong to it."""


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


def final(highs: Any, is_mip: bool) -> Frame:
    """Return the last frame: model status, and columns and bound where HiGHS says that they are valid."""
    info, status, has_plan = highs.getInfo(), highs.getModelStatus().name.removeprefix("k"), found_plan(highs)
    bound = info.mip_dual_bound if is_mip else info.objective_function_value if status == "Optimal" else None
    numbers = finite(objective=info.objective_function_value if has_plan else None, bound=bound)
    header = {"kind": "final", "status": status, "nodes": int(info.mip_node_count), **numbers}
    return header, {"x": columns_of(highs)} if has_plan else {}


def finite(**numbers: float | None) -> dict[str, float | None]:
    """Return numbers as a header can hold them: None for what is infinite or no number."""
    return {k: float(v) if v is not None and np.isfinite(v) and abs(v) < 1e30 else None for k, v in numbers.items()}
