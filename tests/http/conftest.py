"""One small service per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Return a service of two sites with a published plan."""
    service = Served(tmp_path)
    yield service
    service.close()
