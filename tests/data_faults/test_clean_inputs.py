"""No false alarm: a hundred clean inputs, made by seed, and weeks of real markets, are kept; only legal spikes are flagged."""

import math
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from served import Served

from models.base import iso
from models.time_grid import local_day_grid
from service.series_flags import Known
from service.series_intake import Sample, take_in
from service.store.series_records import SeriesDeclaration, SeriesPoint

ZONES = ("America/Chicago", "America/New_York", "America/Los_Angeles", "Europe/Berlin", "Australia/Sydney", "Australia/Lord_Howe",
         "Asia/Kolkata", "UTC")  # fmt: skip
DAYS = (date(2026, 1, 15), date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 6, 21), date(2026, 10, 4),
        date(2026, 10, 25), date(2026, 11, 1), date(2026, 11, 20))  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    service = Served(tmp_path_factory.mktemp("clean"), publish=False)
    yield service
    service.close()


def clean(seed: int):
    """Return a declaration, a grid, values, and the places of the spikes that are legal."""
    rng = random.Random(seed)
    kind, unit, floor, cap, base, swing = [
        ("price", "USD/MWh", -500, 5000, 40, 0.5), ("price", "USD/MWh", -250, 9000, 28, 0.7),
        ("price", "USD/MWh", -1000, 17_500, 60, 0.9), ("price", "USD/MWh", -500, 4000, 12, 1.6),
        ("hashprice", "USD/PH/day", 0, 5000, 48, 0.03), ("ambient", "degC", -60, 60, 9, 1.2),
        ("limit", "W", 0, None, 2_400_000, 0.2), ("carbon", "kg/MWh", 0, 3000, 420, 0.3),
        ("difficulty", "hashes/2^32", 1, None, 1.5e14, 0.0), ("fees", "BTC/block", 0, 1000, 0.03, 0.5),
    ][seed % 10]  # fmt: skip
    step_s = rng.choice((300, 900, 1800, 3600))
    grid = local_day_grid(zone := ZONES[rng.randrange(len(ZONES))], DAYS[rng.randrange(len(DAYS))], rng.choice((1, 1, 2, 7)), 300)
    whole_s = sum(grid.step_s)
    step_s = step_s if all(whole_s % s == 0 for s in (step_s,)) else 1800
    count = whole_s // step_s
    values = [
        base * (1 + swing * math.sin(n * step_s / 86_400 * 2 * math.pi + 1)) + rng.gauss(0, base / 25) for n in range(count)
    ]
    spikes = []
    if kind == "price":
        for _ in range(rng.choice((0, 0, 1, 3))):
            spikes.append(rng.randrange(count))
            values[spikes[-1]] = rng.choice((cap, cap * 0.9, floor))
    values = [min(max(v, -1e30 if floor is None else floor), cap or 1e30) for v in values]
    values = [float(round(v)) if kind in ("limit", "difficulty") else round(v, 4 if kind == "fees" else 2) for v in values]
    subject = {"hashprice": None, "limit": "pecos", "difficulty": "BTC", "fees": "BTC"}.get(kind, "clean")
    declared = {
        "name": f"clean.{seed}", "kind": kind, "subject": subject, "unit": unit, "zone": zone, "resolution_s": step_s,
        "source": f"seed {seed}", "curve_type": "A01", "late_after_s": 86_400 * 31,
    }  # fmt: skip
    declared |= {"floor": floor} if floor is not None and kind == "price" else {}
    declared |= {"cap": cap} if cap is not None and kind == "price" else {}
    starts = [grid.start + n * timedelta(seconds=step_s) for n in range(count)]
    days = {"zone": zone, "first": grid.local_days.first.isoformat(), "days": grid.local_days.days}
    return declared, starts, values, sorted(set(spikes)), days


@pytest.mark.parametrize("ten", range(10))
def test_a_hundred_clean_inputs_raise_no_false_alarm(served, ten):
    for seed in range(10 * ten, 10 * ten + 10):
        declared, starts, values, spikes, days = clean(seed)
        known_at = min(starts[0] + timedelta(days=1), served.now())
        served.now.at = max(served.now.at, known_at)
        body = {
            "declaration": declared, "known_at": iso(served.now()), "local_days": days,
            "points": [{"start": iso(start), "value": value} for start, value in zip(starts, values, strict=True)],
        }  # fmt: skip
        answer = served.client.post(f"/v1/series/{declared['name']}", json=body, headers=served.as_("feed"))
        assert answer.status_code == 200, f"seed {seed}: {answer.text}"
        flagged = {found["flag"]: found["starts"] for found in answer.json["flagged"]}
        assert set(flagged) <= {"jump"}, f"seed {seed}: {flagged}"
        assert set(flagged.get("jump", ())) <= {iso(starts[n]) for n in spikes}, f"seed {seed}"
        assert answer.json["stored"] == len(values)


def market(name, unit_zone, floor, cap, step_s):
    return {
        "name": name, "kind": "price", "subject": name, "unit": "USD/MWh", "zone": unit_zone, "resolution_s": step_s,
        "source": "a real market", "curve_type": "A01", "floor": floor, "cap": cap, "late_after_s": 86_400 * 31,
    }  # fmt: skip


ERCOT = ("ercot_rt_15min_hubs_2020_2024", "HB_NORTH", -251, 9_500, 900)
"""Offers were capped at 9,000; settlement prices add to them, and went to 9,315."""
WEEKS = {
    "ERCOT, February 2021 at 9,000": (*ERCOT, date(2021, 2, 13)),
    "ERCOT, August 2023": (*ERCOT, date(2023, 8, 20)),
    "California, May 2024, midday below zero": ("caiso_rt_15min_zones_2020_2024", "NP15", -155, 2000, 900, date(2024, 5, 17)),
    "New York, December 2022": ("nyiso_rt_hourly_zones_2020_2023", "WEST", -1000, 5000, 3600, date(2022, 12, 21)),
    "Dominion, June 2022": ("pjm_rt_hourly_dom_2020_2024", "DOM", -1000, 4000, 3600, date(2022, 6, 11)),
    "Victoria, June 2022": ("au_nem_hourly_nsw_vic_2020_2023", "VIC1", -1000, 17_500, 3600, date(2022, 6, 8)),
    "Germany, July 2023 at -500": ("eu_dayahead_hourly_2020_2023", "DE_LU", -500, 4000, 3600, date(2023, 6, 28)),
    "Ontario, April 2021, zeros": ("ca_on_hoep_hourly_2020_2023", "HOEP_CAD", -2000, 2000, 3600, date(2021, 4, 10)),
}  # fmt: skip


def week(folder: Path, label: str):
    file, column, floor, cap, step_s, first = WEEKS[label]
    table = pq.read_table(folder / "prices" / f"{file}.parquet", columns=["ts_utc", column])
    begins = datetime(first.year, first.month, first.day, tzinfo=UTC)
    stamps = [s.replace(tzinfo=UTC) if s.tzinfo is None else s.astimezone(UTC) for s in table["ts_utc"].to_pylist()]
    rows = [(s, v) for s, v in zip(stamps, table[column].to_pylist(), strict=True) if begins <= s < begins + timedelta(days=7)]
    return market(f"{column}.{first:%Y%m%d}", "UTC", floor, cap, step_s), [row for row in rows if row[1] is not None]


def run(rows, at_most, step):
    """Return how many rows follow each other without a gap: the files lack an hour here and there, which is no clean input."""
    whole = (n for n in range(1, len(rows)) if rows[n][0] - rows[n - 1][0] != step or rows[n][0] >= rows[0][0] + at_most)
    return next(whole, len(rows))


@pytest.mark.parametrize("label", WEEKS)
@pytest.mark.parametrize("at_once_h", [24, pytest.param(1, marks=pytest.mark.long)])
def test_a_week_of_a_real_market_is_kept(tmp_path, larger_data, label, at_once_h):
    """Day by day, as a day-ahead market tells, and hour by hour, as a real-time one does; a jump is all that may be flagged."""
    declared, rows = week(larger_data, label)
    assert len(rows) > 0.9 * 7 * 86_400 / declared["resolution_s"]
    service = Served(tmp_path, publish=False)
    try:
        flags = set()
        while rows:
            count = run(rows, timedelta(hours=at_once_h), timedelta(seconds=declared["resolution_s"]))
            now, rows = rows[:count], rows[count:]
            service.now.at = max(service.now.at, now[-1][0])
            points = [{"start": iso(start), "value": value} for start, value in now]
            body = {"declaration": declared, "known_at": iso(service.now()), "points": points}
            answer = service.client.post(f"/v1/series/{declared['name']}", json=body, headers=service.as_("feed"))
            assert answer.status_code == 200, f"{now[0]}: {answer.text}"
            flags |= {found["flag"] for found in answer.json["flagged"]}
        assert flags <= {"jump"}, flags
    finally:
        service.close()


def whole_batches(rows, step, length):
    """Give the places where a batch without a gap begins, one after the other."""
    for first in range(0, len(rows) - length + 1, length):
        if rows[first + length - 1][0] - rows[first][0] == (length - 1) * step:
            yield first


@pytest.mark.long
@pytest.mark.parametrize(("hours", "every"), [(24, 1), (0, 13)], ids=["day by day", "every thirteenth value alone"])
def test_no_year_of_a_real_market_is_refused(larger_data, hours, every):
    """All files of prices, their first column, with the two days before as what is known; only gaps of the files are left out."""
    kept, flags = 0, Counter()
    for file in sorted((larger_data / "prices").glob("*.parquet")):
        step = timedelta(minutes=15) if "15min" in file.name else timedelta(hours=1)
        table = pq.read_table(file)
        column = next(name for name in table.column_names if name != "ts_utc")
        stamps = [s.replace(tzinfo=UTC) if s.tzinfo is None else s.astimezone(UTC) for s in table["ts_utc"].to_pylist()]
        rows = [(s, v) for s, v in zip(stamps, table[column].to_pylist(), strict=True) if v is not None and v == v]
        declared = SeriesDeclaration.model_validate(market(column, "UTC", None, None, int(step.total_seconds())))
        before, length = timedelta(days=2) // step, max(1, timedelta(hours=hours) // step)
        for first in list(whole_batches(rows, step, length))[::every]:
            batch = [Sample(start=start, value=value) for start, value in rows[first : first + length]]
            known = [
                SeriesPoint(start=s, value=v, known_at=s)
                for s, v in rows[max(0, first - before) : first]
                if s >= batch[0].start - timedelta(days=2)
            ]
            now = batch[-1].start
            points = take_in(declared, batch, known_at=now, known=Known(now=now, recent=known))
            kept += 1
            flags.update({flag for point in points for flag in point.flags})
    print(kept, dict(flags))
    assert kept > 15_000
    assert set(flags) <= {"jump", "unit_suspicious"}
    assert flags["unit_suspicious"] < kept / 1_000
