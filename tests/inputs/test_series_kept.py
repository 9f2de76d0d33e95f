"""Good series are kept as they came; what is lawful but odd is kept and flagged; what was known stays known."""

from datetime import date, timedelta

import pytest
from served import START, Served

from models.base import iso
from models.reading import BadInputError
from models.time_grid import LocalDays, local_day_grid
from service.series_flags import Known
from service.series_intake import Sample, take_in
from service.store.series_records import SeriesDeclaration, SeriesPoint

HOUR = timedelta(hours=1)
WEST = SeriesDeclaration(
    name="price.west", kind="price", subject="west", unit="USD/MWh", zone="America/Chicago", resolution_s=3600,
    source="a test", curve_type="A01", fill="previous",
)  # fmt: skip


def samples(values, start=START):
    return [Sample(start=start + n * HOUR, value=float(value)) for n, value in enumerate(values)]


def kept(values, *, start=START, declaration=WEST, recent=(), **words):
    known = Known(now=START, recent=recent)
    rows = values if values and isinstance(values[0], Sample) else samples(values, start)
    return take_in(declaration, rows, known_at=words.pop("known_at", START), known=known, **words)


def flagged(points, flag):
    return [n for n, point in enumerate(points) if flag in point.flags]


def test_an_ordinary_day_is_kept_without_a_flag():
    values = [31.5, -12.0, 0.0, 45.25, -250.0, 40.0]
    points = kept(values)
    assert [p.value for p in points] == values
    assert {p.flags for p in points} == {()}


@pytest.mark.parametrize(("missing", "filled"), [((10,), 1), ((10, 11), 2)])
def test_a_small_gap_is_filled_by_the_declared_rule_and_flagged(missing, filled):
    rows = [s for n, s in enumerate(samples(range(100, 148))) if n not in missing]
    points = kept(rows)
    assert len(points) == 48
    assert flagged(points, "filled") == list(missing)
    assert {points[n].value for n in missing} == {109.0}


def test_the_same_row_twice_is_kept_once():
    rows = samples([30.0, 31.0, 32.0])
    points = kept([*rows[:2], rows[1], *rows[2:]])
    assert [p.value for p in points] == [30.0, 31.0, 32.0]
    assert flagged(points, "deduplicated") == [1]


def test_curve_type_a03_leaves_out_repeated_values():
    declaration = WEST.model_copy(update={"curve_type": "A03"})
    rows = [Sample(start=START, value=30.0), Sample(start=START + 5 * HOUR, value=40.0)]
    points = kept(rows, declaration=declaration, end=START + 24 * HOUR)
    assert [p.value for p in points] == [30.0] * 5 + [40.0] * 19
    assert {p.flags for p in points} == {()}


@pytest.mark.parametrize(
    ("zone", "day", "step_s", "steps"),
    [
        ("America/Chicago", date(2026, 3, 8), 3600, 23),
        ("America/Chicago", date(2026, 11, 1), 3600, 25),
        ("America/Chicago", date(2026, 3, 8), 900, 92),
        ("America/Chicago", date(2026, 11, 1), 900, 100),
        ("Europe/Stockholm", date(2026, 10, 25), 900, 100),
        ("Australia/Lord_Howe", date(2026, 10, 4), 900, 94),
        ("Australia/Lord_Howe", date(2026, 4, 5), 900, 98),
        ("Asia/Kolkata", date(2026, 10, 25), 900, 96),
    ],
)
def test_days_of_every_length_are_kept(zone, day, step_s, steps):
    grid = local_day_grid(zone, day, step_s=step_s)
    declaration = WEST.model_copy(update={"zone": zone, "resolution_s": step_s})
    rows = [Sample(start=start, value=20.0 + n % 7) for n, start in enumerate(grid.starts)]
    points = kept(rows, declaration=declaration, local_days=LocalDays(zone=zone, first=day, days=1))
    assert len(points) == steps


def test_odd_values_are_flagged():
    assert flagged(kept([30.0, 31.0, 29.0, 30.5, 4_000.0, 30.2]), "jump") == [4]
    assert flagged(kept([0.031, 0.029, 0.04]), "unit_suspicious") == [0, 1, 2]
    assert flagged(kept([30.0, 31.0], known_at=START - timedelta(days=3)), "late") == [0, 1]


def test_zeros_on_the_day_of_a_clock_change_are_flagged():
    grid = local_day_grid("America/Chicago", date(2026, 11, 1))
    values = [30.0] * 4 + [0.0] * 4 + [31.0] * 17
    rows = [Sample(start=start, value=value) for start, value in zip(grid.starts, values, strict=True)]
    assert flagged(kept(rows), "suspicious_repeat") == [4, 5, 6, 7]
    ordinary = samples(values[:24], local_day_grid("America/Chicago", date(2026, 11, 3)).start)
    assert flagged(kept(ordinary), "suspicious_repeat") == []


def test_a_day_equal_to_yesterday_is_flagged():
    grid = local_day_grid("America/Chicago", date(2026, 11, 18))
    today = [20.0 + n for n in range(24)]
    recent = [SeriesPoint(start=start - 24 * HOUR, value=today[n], known_at=START) for n, start in enumerate(grid.starts)]
    points = kept(today, start=grid.start, recent=recent)
    assert flagged(points, "suspicious_repeat") == list(range(24))
    points = kept([*today[:-1], 99.0], start=grid.start, recent=recent)
    assert flagged(points, "suspicious_repeat") == []


@pytest.fixture
def served(tmp_path):
    service = Served(tmp_path)
    yield service
    service.close()


def post(served, values, *, known_at=START, start=START, declared=True):
    body = {
        "known_at": iso(known_at),
        "points": [s.model_dump(mode="json") for s in samples(values, start)],
        **({"declaration": WEST.model_dump(mode="json")} if declared else {}),
    }
    return served.client.post("/v1/series/price.west", json=body, headers=served.as_("feed"))


def read(served, **query):
    return [p["value"] for p in served.client.get("/v1/series/price.west", query_string=query).json["points"]]


def test_what_was_known_when_stays_known(served):
    served.now.at = START + timedelta(hours=6)
    assert post(served, [30, 31, 32]).json["stored"] == 3
    assert post(served, [40, 41], known_at=START + 5 * HOUR, declared=False).json["stored"] == 2
    window = {"start": iso(START), "end": iso(START + 3 * HOUR)}
    assert read(served, **window) == [40.0, 41.0, 32.0]
    assert read(served, **window, known_by=iso(START + HOUR)) == [30.0, 31.0, 32.0]
    assert read(served, **window, known_by=iso(START - HOUR)) == []


def test_more_steps_than_an_answer_holds_are_refused_not_cut(served, monkeypatch):
    post(served, [30.0, 31.0, 32.0])
    window = {"start": iso(START), "end": iso(START + 3 * HOUR)}
    monkeypatch.setattr("service.api.series.MOST_STEPS", 2)
    answer = served.client.get("/v1/series/price.west", query_string=window)
    assert answer.status_code == 422
    assert f"at most 2 steps; ask for an end by {iso(START + 2 * HOUR)}" in answer.text
    assert read(served, start=iso(START), end=iso(START + 2 * HOUR)) == [30.0, 31.0]
    assert read(served, start=iso(START + 2 * HOUR)) == [32.0]


def test_sending_twice_keeps_once_and_a_contradiction_is_a_conflict(served):
    assert post(served, [30, 31]).json["stored"] == 2
    again = post(served, [30, 31])
    assert (again.json["stored"], again.json["known"]) == (0, 2)
    answer = post(served, [30, 99])
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert read(served, start=iso(START)) == [30.0, 31.0]


def test_a_series_cannot_be_declared_anew(served):
    post(served, [30])
    other = WEST.model_copy(update={"resolution_s": 900, "fill": "none"})
    body = {
        "known_at": iso(START),
        "points": [{"start": iso(START), "value": 30.0}],
        "declaration": other.model_dump(mode="json"),
    }
    answer = served.client.post("/v1/series/price.west", json=body, headers=served.as_("feed"))
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert "fill" in answer.json["detail"]
    assert "resolution_s" in answer.json["detail"]


def test_tables_in_and_out(served):
    post(served, [30])
    table = "start,value\n2026-11-22T09:00:00Z,31.25\n2026-11-22T04:00:00-06:00,-5\n"
    answer = served.client.post(
        "/v1/series/price.west",
        data=table,
        content_type="text/csv",
        query_string={"known_at": iso(START)},
        headers=served.as_("feed"),
    )
    assert answer.json["stored"] == 2, answer.text
    out = served.client.get("/v1/series/price.west", query_string={"start": iso(START)}, headers={"Accept": "text/csv"})
    assert out.mimetype == "text/csv"
    assert out.text.splitlines() == [
        "start,value,known_at,flags",
        "2026-11-22T08:00:00Z,30.0,2026-11-22T08:00:00Z,",
        "2026-11-22T09:00:00Z,31.25,2026-11-22T08:00:00Z,",
        "2026-11-22T10:00:00Z,-5.0,2026-11-22T08:00:00Z,",
    ]


def test_a_silent_series_is_stale(served):
    post(served, [30])
    assert [s["stale"] for s in served.client.get("/v1/series").json["items"]] == [False]
    served.now.ahead(days=3)
    assert [s["stale"] for s in served.client.get("/v1/series").json["items"]] == [True]


def test_the_receipt_names_what_is_flagged(served):
    receipt = post(served, [30.0, 31.0, 29.0, 30.5, 4_000.0, 30.2]).json
    assert receipt["flagged"] == [{"flag": "jump", "steps": 1, "starts": [iso(START + 4 * HOUR)]}]
    assert receipt["end"] == iso(START + 6 * HOUR)


def test_a_day_of_half_hours_cannot_be_told_in_hours():
    day = LocalDays(zone="Australia/Lord_Howe", first=date(2026, 4, 5), days=1)
    with pytest.raises(BadInputError, match=r"24\.5 h, no whole number of steps of 3600 s"):
        kept([float(n) for n in range(24)], start=day.start, local_days=day)
    halves = WEST.model_copy(update={"resolution_s": 1800})
    rows = [Sample(start=day.start + n * timedelta(minutes=30), value=float(n)) for n in range(49)]
    assert len(kept(rows, declaration=halves, local_days=day)) == 49
