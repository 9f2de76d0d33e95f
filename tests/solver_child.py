"""One solver child for many small models: the same program parts, options and arrays as in production, without its start-up.

It is one process for all of them, and the tests' own one need not import HiGHS for it.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer import highs_wire as wire
from optimizer.compiled import Compiled, Floats
from optimizer.highs_wire import write_model
from optimizer.worker import OPTIONS

ROOT = Path(__file__).resolve().parents[1]
LOOP = """
import os, sys
sys.path.insert(0, sys.argv[1])
from optimizer import highs_wire as wire
from optimizer.child import die_with_parent, keep_stdout_for_frames
from optimizer.highs_frames import final
from optimizer.highs_models import loaded
die_with_parent(os.getppid())
frames = keep_stdout_for_frames()
while sys.stdin.buffer.peek(1):
    header, arrays = wire.read(sys.stdin.buffer)
    highs = loaded(header, arrays)
    highs.run()
    wire.write(frames, *final(highs, bool(arrays["integer"].any())))
    frames.flush()
"""


@dataclass(frozen=True)
class Answer:
    """HiGHS' word for how it ended, its columns and its bound."""

    status: str
    x: Floats | None
    bound_usd: float | None


class SolverChild:
    """A child that solves one model after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def solve(self, compiled: Compiled, *, gap: float = 0.0, options: Mapping[str, Any] | None = None) -> Answer:
        """Solve a model to a relative gap, with the options of production but for some."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        wanted = {**OPTIONS, "mip_rel_gap": gap, "mip_abs_gap": 0.0 if gap == 0 else 1e-6, "random_seed": 0, **(options or {})}
        write_model(stdin, compiled, wanted, None)
        stdin.flush()
        header, arrays = wire.read(stdout)
        return Answer(header["status"], arrays.get("x"), header["bound"])


@contextmanager
def solver_child() -> Iterator[SolverChild]:
    """Start a child, and end it."""
    command = [sys.executable, "-I", "-c", LOOP, str(ROOT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield SolverChild(process)
        finally:
            process.kill()
