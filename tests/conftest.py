"""What every test may ask for: the long tests on request, a browser, the folder of larger data."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("house", deadline=None, derandomize=True, database=None)  # same cases on every machine
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked long (minutes each)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome on this machine."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail("REQUIRE_BROWSER=1, and no chromium, chromium-browser or google-chrome is on the PATH")
    return pytest.skip("no Chromium on this machine; REQUIRE_BROWSER=1 makes that a failure")


@pytest.fixture(scope="session")
def larger_data() -> Path:
    """The folder of larger data that WATTSPLIT_DATA names."""
    if not (folder := os.environ.get("WATTSPLIT_DATA")):
        return pytest.skip("WATTSPLIT_DATA names no folder of larger data")
    return Path(folder)
