"""Rules of the house, checked by the machine."""

import importlib
import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import pytest

import models
from models.base import Record

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("models", "optimizer", "scenarios", "service")
MODULES = sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))
ELEMENTS = sorted((ROOT / "optimizer" / "elements").glob("[a-z]*.py"))

UNIT = "w|kw|mw|mwh|wh|j|s|ms|h|c|mwork|days?|months?|usd|btc|share|work|steps?|percent|ph|th|nodes?|blocks?|milli|ppm|miners?"
QUANTITY = re.compile(rf"(^|_)({UNIT})(_per(_[a-z]+)+)*(_on|_warm)?$")
PURE_NUMBERS = set(
    "schema_version audit_version version revision epoch seed count starts_today difficulty asked_gap shortfall pool_fee "
    "firmware_fee uptime decisions changed changed_before values mean yardstick".split()
)
"""Counts of documents, starts and decisions, the network's own figure, shares by custom, and what has its unit beside it."""

FORBIDDEN = {
    "a host of a package registry": "pyp" + r"i\.org|pythonhoste" + "d|npmj" + r"s\.org|deb\.debia" + "n",
    "a path of one machine": r"(^|[\s\"'=:(])/(wor" + "k|roo" + "t|far" + "m|hom" + r"e)/",
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_fits_on_a_few_screens(path: Path):
    assert len(path.read_text().splitlines()) <= 300


def records() -> list[type[Record]]:
    """Every record that models/ defines."""
    found = set()
    for module in pkgutil.walk_packages(models.__path__, "models."):
        content = vars(importlib.import_module(module.name)).values()
        found |= {c for c in content if isinstance(c, type) and issubclass(c, Record) and c.__module__ == module.name}
    return sorted(found, key=lambda record: record.__name__)


def holds_a_number(annotation: object) -> bool:
    """Whether int or float stands anywhere in a type; the constraints of an Annotated are no types."""
    if annotation in (int, float):
        return True
    inner = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        inner = inner[:1]
    return any(holds_a_number(part) for part in inner)


@pytest.mark.parametrize("record", records(), ids=lambda record: record.__name__)
def test_every_number_names_its_unit(record: type[Record]):
    numbers = [name for name, field in record.model_fields.items() if holds_a_number(field.annotation)]
    assert [name for name in numbers if name not in PURE_NUMBERS and not QUANTITY.search(name)] == []


@pytest.mark.parametrize("path", ELEMENTS, ids=lambda path: path.stem)
def test_the_mathematics_of_every_element_is_compared_with_its_code(path: Path):
    """The comparison itself is tests/elements/test_docstrings.py; none may be missing in it."""
    assert re.search(rf"\b{path.stem}\b", (ROOT / "tests" / "elements" / "test_docstrings.py").read_text())


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        return pytest.skip("not a clone: there is no list of tracked files")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_names_a_place_that_others_do_not_have(what: str):
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    assert [relative(p) for p in tracked_files() if pattern.search(p.read_text(errors="ignore"))] == []


def test_no_exemption_without_its_reason():
    """A silenced checker says on the same line why."""
    mark = re.compile(r"#\s*(noqa|type:\s*ignore|pragma: no cover|fmt: (skip|off))")
    reason = re.compile(r"#\s*(noqa|type:\s*ignore|pragma: no cover)[^#]*#\s*\w+|# fmt: ")
    lines = [
        f"{relative(path)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if mark.search(line) and not reason.search(line)
    ]
    assert lines == []


def test_the_wheel_holds_the_four_packages_and_nothing_else(tmp_path: Path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert all(f"{package}/py.typed" in names for package in PACKAGES)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_what_users_install_is_pinned_the_same_for_developers():
    run, dev = (pins((ROOT / "requirements" / f"{kind}.txt").read_text()) for kind in ("run", "dev"))
    assert run <= dev


def pins(lock: str) -> set[str]:
    return {line.split(" ")[0] for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))}
