"""Prices through gridstatus, in a process of its own: what the child tells becomes series, whatever the child does else.

The library itself is not installed here: a package of its name, written for these tests with the columns that gridstatus
0.37 returns, stands where it would be. With WATTSPLIT_TEST_GRIDSTATUS naming a Python that has the real one, that is asked
for its markets and methods too.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from feed_source import until

STAND_IN = """
import datetime, enum, json, os, sys, time
__version__ = "stand-in"
class NoDataFoundException(Exception): pass
class Markets(enum.Enum):
    DAY_AHEAD_HOURLY = "DAY_AHEAD_HOURLY"
    REAL_TIME_15_MIN = "REAL_TIME_15_MIN"
class Column(list):
    def isin(self, wanted): return [x in wanted for x in self]
class Table:
    def __init__(self, rows, price): self.rows, self.columns = rows, ["Location", "Interval Start", "Interval End", price]
    def __getitem__(self, what):
        if isinstance(what, str): return Column(row[self.columns.index(what)] for row in self.rows)
        return Table([row for row, keep in zip(self.rows, what) if keep], self.columns[3])
    def sort_values(self, by): return Table(sorted(self.rows, key=lambda r: (r[0], r[1])), self.columns[3])
class Ercot:
    def get_spp(self, day, market, locations):
        print("the library chats on standard output")
        how = json.loads(open(os.path.join(os.path.dirname(__file__), "how.json")).read())
        if how.get("sleep"): time.sleep(how["sleep"])
        if how.get("die"): os._exit(9)
        if how.get("error"): raise RuntimeError(how["error"])
        if day not in how["days"]: raise NoDataFoundException(day)
        start = datetime.datetime.fromisoformat(how["days"][day]["from"])
        step = datetime.timedelta(seconds=3600 if market is Markets.DAY_AHEAD_HOURLY else 900)
        step = step * how.get("stretch", 1)
        rows = [(l, start + n * step, start + (n + 1) * step, v)
                for l in ("HB_WEST", "HB_NORTH") for n, v in enumerate(how["days"][day]["values"])]
        return Table(rows, "SPP")
"""


@pytest.fixture
def python(tmp_path):
    """Return a Python that has the stand-in, and a function that says how it shall answer."""
    home = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (site,) = home.glob("lib/python3*/site-packages")
    package = site / "gridstatus"
    package.mkdir()
    (package / "__init__.py").write_text(STAND_IN)

    def how(**words):
        import json

        (package / "how.json").write_text(json.dumps(words))

    return str(home / "bin" / "python"), how


def prices(python, **more):
    words = {"iso": "ercot", "market": "DAY_AHEAD_HOURLY", "locations": {"HB_WEST": "west"}, "cap": 5000, "floor": -250}
    return {"kind": "iso_prices", "name": "source", "python": python, "stale_after_s": 93_600, "total_s": 20} | words | more


def day(first, values):
    return {"from": first, "values": values}


SAT, SUN = "2026-10-31T05:00:00+00:00", "2026-11-01T05:00:00+00:00"


def test_two_local_days_with_a_change_of_the_clocks(served, python):
    name, how = python
    served.now.at = datetime(2026, 10, 31, 20, tzinfo=UTC)
    how(days={"2026-10-31": day(SAT, [20.0 + n for n in range(24)]), "2026-11-01": day(SUN, [30.5 - n for n in range(25)])})
    served.feed(prices(name))
    polled = served.poll()
    assert polled.error is None, polled.error
    assert [(r.name, r.stored) for r in polled.receipts] == [("source.west", 49)]
    declared = served.store.series.declaration("source.west")
    assert (declared.zone, declared.resolution_s, declared.cap) == ("America/Chicago", 3600, 5000)
    assert "gridstatus" in declared.source


def test_a_day_that_is_not_published_yet_is_not_missed(served, python):
    name, how = python
    served.now.at = datetime(2026, 10, 31, 14, tzinfo=UTC)
    how(days={"2026-10-31": day(SAT, [20.0 + n for n in range(24)])})
    served.feed(prices(name))
    assert served.poll().receipts[0].stored == 24


def test_a_day_of_24_hours_where_there_are_25_is_refused(served, python):
    name, how = python
    served.now.at = datetime(2026, 10, 31, 20, tzinfo=UTC)
    how(days={"2026-10-31": day(SAT, [20.0 + n for n in range(24)]), "2026-11-01": day(SUN, [30.5 - n for n in range(24)])})
    served.feed(prices(name))
    assert "wrong_day_length" in served.poll().error
    assert served.store.series.declarations() == []


def test_real_time_prices_of_today(served, python):
    name, how = python
    served.now.at = datetime(2026, 10, 31, 6, 4, tzinfo=UTC)
    how(days={"2026-10-31": day(SAT, [20.0, 21.0, 4_999.0, -249.0])})
    served.feed(prices(name, market="REAL_TIME_15_MIN"))
    assert served.poll().receipts[0].stored == 4


WRONG = {
    "tells no such location": ({"days": {"2026-10-31": day(SAT, [20.0] * 24)}}, {"locations": {"HB_PAN": "pan"}}, "HB_PAN"),
    "tells other intervals": ({"days": {"2026-10-31": day(SAT, [20.0] * 24)}, "stretch": 2}, {}, "expected 3600 s"),
    "tells last month": ({"days": {"2026-10-31": day("2026-09-30T05:00:00+00:00", [20.0] * 24)}}, {}, "stands still"),
    "fails": ({"error": "403 Client Error: Forbidden"}, {}, "RuntimeError: 403 Client Error"),
    "dies": ({"die": True}, {}, "in the middle"),
    "hangs": ({"sleep": 60}, {"total_s": 2}, "longer than 2 s"),
    "tells too much": ({"days": {"2026-10-31": day(SAT, [20.0] * 1_000)}}, {"max_bytes": 5_000}, "more than 5000 bytes"),
    "tells what no market pays": ({"days": {"2026-10-31": day(SAT, [20.0] * 23 + [5_001.0])}}, {}, "out_of_range"),
    "tells NaN": ({"days": {"2026-10-31": day(SAT, [20.0] * 23 + [float("nan")])}}, {}, "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("label", WRONG)
def test_a_child_that(served, python, label):
    name, how = python
    words, settings, expected = WRONG[label]
    served.now.at = datetime(2026, 10, 31, 14, tzinfo=UTC)
    how(**words)
    served.feed(prices(name, **settings))
    began = time.monotonic()
    error = served.poll().error
    assert expected in error, error
    assert time.monotonic() - began < 15
    assert served.store.series.declarations() == []
    left = [c for c in psutil.Process().children(recursive=True) if "gridstatus_child" in " ".join(c.cmdline())]
    assert left == []


def test_a_child_does_not_outlive_who_asked(python, tmp_path):
    name, how = python
    how(sleep=60)
    program = f"""
from datetime import datetime, UTC
from service.feeds.iso_prices import IsoPrices
feed = IsoPrices.model_validate({prices(name) | {"licence": "ours"}!r})
print("asking", flush=True)
feed.poll(datetime(2026, 10, 31, 14, tzinfo=UTC), {{}})
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2])
    until(lambda: len(psutil.Process(parent.pid).children()) == 1)
    (child,) = psutil.Process(parent.pid).children()
    time.sleep(0.5)
    parent.kill()
    parent.communicate()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_shortly_after_midnight_the_last_hour_of_the_day_before_is_asked_for(served, python):
    name, how = python
    served.now.at = datetime(2026, 10, 31, 5, 3, tzinfo=UTC)
    how(days={"2026-10-30": day("2026-10-31T04:00:00+00:00", [20.0, 21.0, 22.0, 23.0])})
    served.feed(prices(name, market="REAL_TIME_15_MIN"))
    assert served.poll().receipts[0].stored == 4


def test_what_is_missing_is_named_with_what_to_install(served, tmp_path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    for python in (str(bare / "bin" / "python"), str(tmp_path / "no-python")):
        served.feed(prices(python))
        error = served.poll().error
        assert "pip install gridstatus" in error, error


@pytest.mark.skipif("WATTSPLIT_TEST_GRIDSTATUS" not in os.environ, reason="WATTSPLIT_TEST_GRIDSTATUS names no Python")
def test_the_real_library_has_what_the_child_asks_for():
    child = Path(__file__).resolve().parents[2] / "service" / "feeds" / "gridstatus_child.py"
    program = f"""
import importlib.util, inspect, gridstatus
spec = importlib.util.spec_from_file_location("child", {str(child)!r})
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
for name in child.ISOS.values():
    iso = getattr(gridstatus, name)
    method = getattr(iso, "get_spp", None) or getattr(iso, "get_lmp", None)
    if method is not None:
        assert {{"market", "locations"}} <= set(inspect.signature(method).parameters), name
    else:
        assert hasattr(iso, "get_lmp_day_ahead_hourly") and hasattr(iso, "get_lmp_real_time_5_min_by_location"), name
for market in ("DAY_AHEAD_HOURLY", "REAL_TIME_HOURLY", "REAL_TIME_15_MIN", "REAL_TIME_5_MIN"):
    assert hasattr(gridstatus.Markets, market)
from gridstatus.base import NoDataFoundException
import pandas as pd
day = pd.date_range("2026-11-01", periods=25, freq="h", tz="America/Chicago")
def frame(names, **more):
    rows = [(t, t + pd.Timedelta("1h"), n, 30.0 + i) for n in names for i, t in enumerate(day)]
    return pd.DataFrame(rows, columns=["Interval Start", "Interval End", more["column"], more["price"]])
gridstatus.Ercot = type("Ercot", (), dict(get_spp=lambda s, d, market, locations: frame(
    ["HB_WEST", "HB_PAN"], column="Location", price="SPP")))
gridstatus.PJM = type("PJM", (), dict(get_lmp=lambda s, d, market, locations: frame(
    ["DOMINION HUB", "AEP"], column="Location Name", price="LMP")))
gridstatus.SPP = type("SPP", (), dict(get_lmp_day_ahead_hourly=lambda s, d: frame(
    ["SPPNORTH_HUB"], column="Location", price="LMP")))
for iso, place in (("ercot", "HB_WEST"), ("pjm", "DOMINION HUB"), ("spp", "SPPNORTH_HUB")):
    asked = dict(iso=iso, market="DAY_AHEAD_HOURLY", days=["2026-11-01"], locations=[place])
    rows = child.prices(gridstatus, asked, "2026-11-01")
    assert len(rows) == 25 and {{row[0] for row in rows}} == {{place}}, rows[:2]
    assert rows[1][1] == "2026-11-01T01:00:00-05:00" and rows[2][1] == "2026-11-01T01:00:00-06:00", rows[:3]
print("good", gridstatus.__version__)
"""
    told = subprocess.run([os.environ["WATTSPLIT_TEST_GRIDSTATUS"], "-c", program], capture_output=True, text=True, check=False)
    assert told.stdout.startswith("good"), told.stderr


def test_asked_again_an_hour_later_it_tells_nothing_new(served, python):
    name, how = python
    served.now.at = datetime(2026, 10, 31, 14, tzinfo=UTC)
    how(days={"2026-10-31": day(SAT, [20.0 + n for n in range(24)])})
    served.feed(prices(name))
    assert served.poll().receipts[0].stored == 24
    served.now.at += timedelta(hours=1)
    assert served.poll().receipts[0].stored == 0
