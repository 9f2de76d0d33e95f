"""HiGHS objects of programmes; imported only where a solver may run."""

from collections.abc import Mapping
from typing import Any

import highspy
import numpy as np

from optimizer.blocks import Program, program_of
from optimizer.compiled import Floats

FEASIBLE = 2
"""HiGHS' word for a primal solution that keeps all rows."""
ROWWISE, MAXIMIZE = int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMaximize)
SITE_LP: dict[str, Any] = {"presolve": "off"}
"""Small programmes that are solved again and again keep their basis, which presolve would throw away."""


def highs_of(program: Program, options: Mapping[str, Any], *, whole: bool = False, offset: float = 0.0) -> Any:
    """Return HiGHS with a programme in it; whole: with its whole numbers, not its relaxation.

    Raises:
        ValueError: HiGHS refuses an option or the programme.
    """
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    for name, value in options.items():
        if highs.setOptionValue(name, value) == highspy.HighsStatus.kError:
            raise ValueError(f"HiGHS refuses the option {name}={value!r}")
    # Whole arrays at once: as fields of a HighsLp each number is converted by itself, which takes ten times as long.
    matrix, is_whole = program.matrix, program.integer & whole
    status = highs.passModel(
        program.cost.size, program.row_lower.size, matrix.value.size, ROWWISE, MAXIMIZE, offset,
        program.cost, program.col_lower, program.col_upper, program.row_lower, program.row_upper,
        matrix.start, matrix.index, matrix.value, is_whole.astype(np.int32),
    )  # fmt: skip
    if status == highspy.HighsStatus.kError:
        raise ValueError("HiGHS refuses the model")
    return highs


def loaded(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    """Return HiGHS with the model and the options that a solver child is sent (`optimizer.highs_wire.write_model`)."""
    return highs_of(program_of(arrays), header["options"], whole=True, offset=header["offset"])


def begin_with(highs: Any, x: Floats) -> None:
    """Give HiGHS columns to begin with; NaN where one is left open."""
    known = np.flatnonzero(~np.isnan(x)).astype(np.int32)
    highs.setSolution(known.size, known, x[known])


def is_optimal(highs: Any) -> bool:
    """Whether the last run found an optimum."""
    return bool(highs.getModelStatus() == highspy.HighsModelStatus.kOptimal)


def solved(highs: Any) -> bool:
    """Solve a programme from its last basis, or anew where HiGHS loses its way; say whether that found an optimum."""
    highs.run()
    if is_optimal(highs):
        return True
    highs.clearSolver()
    highs.run()
    return is_optimal(highs)


def columns_of(highs: Any) -> Floats:
    """Return the columns that the last run found."""
    return np.array(highs.getSolution().col_value, dtype=np.float64)


def found_plan(highs: Any) -> bool:
    """Whether the last run found columns that keep every rule, optimal or not."""
    return bool(highs.getSolution().value_valid and highs.getInfo().primal_solution_status == FEASIBLE)
