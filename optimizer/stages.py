"""Stages: which decisions are taken here and now, the same in all scenarios, and which answer to the one that comes true.

An element says of each of its variables when it is decided (`declare.Stage`):

commitment   how many machines are on (starting wears, loading takes time): shared in steps that begin before recourse starts
set_point    what the machines that are on do: shared in steps that begin before the shared set-points end
service      which work is done where: as set_point, but only among scenarios that ask for the same work
contract     what is promised to others: shared whatever the step
follows      all else, which follows from these or answers to the scenario: draws, flows, starts, unserved work

Who asks for more must be served more: service cannot be the same where demand differs, and is recourse there.
"""

from typing import get_args

import numpy as np

from models.digest import digest
from models.futures import Futures
from models.problem import Problem
from models.time_grid import TimeGrid
from optimizer.compiled import Compiled, Ints
from optimizer.declare import STEPS, Stage
from optimizer.formulation import formulate

SHARED: tuple[Stage, ...] = tuple(stage for stage in get_args(Stage) if stage != "follows")


def asks(problem: Problem) -> str:
    """Return a digest of the work that a problem asks for."""
    return digest({name: list(work) for name, work in problem.demand_work_per_h.items()})


def steps_before(grid: TimeGrid, seconds: int) -> int:
    """Return how many steps begin before so many seconds have passed."""
    return sum(offset_s < seconds for offset_s in grid.offset_s[:-1])


def steps_shared(grid: TimeGrid, futures: Futures, stage: Stage) -> int:
    """Return how many steps from the first on share the decisions of a stage."""
    if stage == "contract":
        return grid.steps
    longest_s = max(futures.recourse_after_s, futures.set_points_s)
    return steps_before(grid, longest_s if stage == "commitment" else futures.set_points_s)


def shared_columns(compiled: Compiled, grid: TimeGrid, futures: Futures, stage: Stage) -> Ints:
    """Return the numbers of the columns of a stage that scenarios share, in the order of the formulation."""
    found = [np.zeros(0, dtype=np.int64)]
    for name, variable in formulate().variables.items():
        if variable.stage == stage:
            numbers = compiled.columns[name]
            found.append((numbers[..., : steps_shared(grid, futures, stage)] if STEPS in variable.over else numbers).ravel())
    return np.concatenate(found)
