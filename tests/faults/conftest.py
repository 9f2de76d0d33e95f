"""What the tests of faults share: no solver is left behind, and a service of two sites that has planned once."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.test_planning_faults import CALM
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import MIN, Simulation, simulation
from solver_processes import solver_children


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert solver_children() == []


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Simulation]:
    """A service with two sites and a plan; its jobs are not started."""
    made = simulation(tmp_path, small_fleet(2), NOON + 5 * MIN, ambient=CALM, horizon_h=6, budget_s=30.0, memory_mib=512)
    post_series(made.store, NOON, 80)
    made.service.desk.turn()
    yield made
    made.close()
