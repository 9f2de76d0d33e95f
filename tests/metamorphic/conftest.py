"""One solver child for all relations of a file."""

from collections.abc import Iterator

import pytest
from relations import Bench
from solver_child import solver_child


@pytest.fixture(scope="package")
def bench() -> Iterator[Bench]:
    with solver_child() as child:
        yield Bench(child)
