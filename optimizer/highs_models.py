"""HiGHS objects of programmes; imported only where a solver may run."""

from collections.abc import Mapping
from typing import Any

import highspy
import numpy as np

from optimizer.blocks import Program
from optimizer.compiled import Floats

FEASIBLE = 2
"""HiGHS' word for a primal solution that keeps all rows."""
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
    lp, matrix = highspy.HighsLp(), program.matrix
    lp.num_col_, lp.num_row_ = program.cost.size, program.row_lower.size
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.offset_ = offset
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.col_lower, program.col_upper
    lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.start, matrix.index, matrix.value
    if whole and program.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[flag] for flag in program.integer.astype(int)]
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise ValueError("HiGHS refuses the model")
    return highs


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
