"""What these tests read from: a store with the small fleet's series for thirty hours."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from seams.fleets import NOON, post_series

from service.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    post_series(opened, NOON, 30)
    yield opened
    opened.close()
