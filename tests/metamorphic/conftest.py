"""One solver child for all relations, and the relations of each file for the tests that it shares with the others."""

from collections.abc import Iterator

import pytest
from relations import Bench
from solver_child import solver_child


@pytest.fixture(scope="package")
def bench() -> Iterator[Bench]:
    with solver_child() as child:
        yield Bench(child)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each relation that a module lists to the tests that take one."""
    if "relation" in metafunc.fixturenames:
        metafunc.parametrize("relation", metafunc.module.RELATIONS, ids=lambda relation: relation.__name__)
