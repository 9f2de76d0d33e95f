"""Labelled bad input to the API: each is refused with its status, code and pointer, and nothing of it is kept."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from served import START, Served

from models.base import iso
from models.time_grid import local_day_grid

Row = tuple[Any, Any]
PATH = "/v1/series/price.west"
DECLARED: dict[str, Any] = {
    "name": "price.west", "kind": "price", "subject": "west", "unit": "USD/MWh", "zone": "America/Chicago",
    "resolution_s": 3600, "source": "a test", "curve_type": "A01", "floor": -500, "cap": 5000, "fill": "previous",
}  # fmt: skip
CHICAGO = "America/Chicago"
UNBOUNDED: dict[str, Any] = {"declared__floor": None, "declared__cap": None}
LIMIT_W: dict[str, Any] = {"declared__kind": "limit", "declared__unit": "W", "declared__subject": "pecos", **UNBOUNDED}
DEMAND_OF_POETRY: dict[str, Any] = {"declared__kind": "demand", "declared__unit": "tokens/h", "declared__subject": "poetry"}
EVENTS, WHAT_IFS, KEYS = "/v1/events", "/v1/scenarios", "/v1/keys"
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory):
    service = Served(tmp_path_factory.mktemp("inputs"), max_large_body_bytes=1_000_000)
    yield service
    service.close()


def hours(values: list[float], start: datetime = START) -> list[dict[str, Any]]:
    return [{"start": iso(start + timedelta(hours=n)), "value": value} for n, value in enumerate(values)]


def body(points: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a good body with changes; a change of `declared__x` goes into the declaration, None leaves a field out."""
    declared = {**DECLARED, **{name[10:]: value for name, value in changes.items() if name.startswith("declared__")}}
    content = {
        "declaration": {name: value for name, value in declared.items() if value is not ...},
        "known_at": iso(START),
        "points": hours([30.0 + n for n in range(24)]) if points is None else points,
    }
    content |= {name: value for name, value in changes.items() if not name.startswith("declared__")}
    return {name: value for name, value in content.items() if value is not ...}


def changed(row: int, **words: Any) -> list[dict[str, Any]]:
    points = hours([30.0 + n for n in range(24)])
    points[row] = {name: value for name, value in {**points[row], **words}.items() if value is not ...}
    return points


def without(*rows: int) -> list[dict[str, Any]]:
    return [point for n, point in enumerate(hours([30.0 + n for n in range(48)])) if n not in rows]


def day(of: date, steps: int) -> dict[str, Any]:
    start = local_day_grid(CHICAGO, of).start
    local = {"zone": CHICAGO, "first": of.isoformat(), "days": 1}
    return body(hours([20.0 + n for n in range(steps)], start), local_days=local)


def raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


# what is sent, status, code and pointer of the first error
SERIES: dict[str, tuple[Any, int, str, str]] = {
    "NaN": (json.dumps(body(changed(3, value=float("nan")))), 400, "not_finite", "/points/3/value"),
    "infinity": (json.dumps(body(changed(3, value=float("-inf")))), 400, "not_finite", "/points/3/value"),
    "1e999": (json.dumps(body()).replace("33.0", "1e999"), 400, "not_finite", "/points/3/value"),
    "a whole number beyond range": (json.dumps(body()).replace("33.0", "9" * 40), 400, "not_finite", "/points/3/value"),
    "a duplicate key": ('{"points": [], "points": []}', 400, "duplicate_key", "/points"),
    "half a character pair": ('{"known_at": "\\ud800"}', 400, "bad_text", "/known_at"),
    "a null character": ('{"known_at": "\\u0000"}', 400, "bad_text", "/known_at"),
    "not UTF-8": (b'{"known_at": "\xff"}', 400, "not_utf8", ""),
    "UTF-16": ("{}".encode("utf-16"), 400, "not_utf8", ""),
    "an empty body": (b"", 400, "empty", ""),
    "100,000 nested brackets": (b"[" * 100_000, 400, "too_deep", ""),
    "nested objects": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400, "too_deep", ""),
    "cut off": (json.dumps(body())[:-7], 400, "malformed_json", ""),
    "a comment": ("/* prices */ {}", 400, "malformed_json", ""),
    "single quotes": ("{'points': []}", 400, "malformed_json", ""),
    "a numeric string": (body(changed(3, value="33")), 422, "float_type", "/points/3/value"),
    "true for a price": (body(changed(3, value=True)), 422, "float_type", "/points/3/value"),
    "null for a price": (body(changed(3, value=None)), 422, "float_type", "/points/3/value"),
    "no price": (body(changed(3, value=...)), 422, "missing_field", "/points/3/value"),
    "no start": (body(changed(3, start=...)), 422, "missing_field", "/points/3/start"),
    "an unknown field": (body(changed(3, unit="EUR")), 422, "unknown_field", "/points/3/unit"),
    "a naive time": (body(changed(3, start="2026-11-22T11:00:00")), 422, "invalid_value", "/points/3/start"),
    "a time stamp in seconds": (body(changed(3, start=1_795_345_200)), 422, "invalid_value", "/points/3/start"),
    "no day": (body(changed(3, start="2026-02-30T11:00:00Z")), 422, "invalid_value", "/points/3/start"),
    "no points": (body([]), 422, "too_short", "/points"),
    "more points than are read": (body(hours([30.0] * 20_001)), 413, "", ""),
    "an array": ([], 422, "model_type", ""),
    "no declaration": (body(declaration=...), 422, "missing_field", "/declaration"),
    "no unit": (body(declared__unit=...), 422, "missing_field", "/declaration/unit"),
    "no zone": (body(declared__zone=...), 422, "missing_field", "/declaration/zone"),
    "no resolution": (body(declared__resolution_s=...), 422, "missing_field", "/declaration/resolution_s"),
    "no source": (body(declared__source=...), 422, "missing_field", "/declaration/source"),
    "no curve type": (body(declared__curve_type=...), 422, "missing_field", "/declaration/curve_type"),
    "no time of knowledge": (body(known_at=...), 422, "missing_field", "/known_at"),
    "an unknown unit": (body(declared__unit="ct/kWh"), 422, "literal_error", "/declaration/unit"),
    "a unit of another kind": (body(declared__unit="degC"), 422, "invalid_value", "/declaration"),
    "an unknown zone": (body(declared__zone="America/Pecos"), 422, "invalid_value", "/declaration/zone"),
    "another name than the path's": (body(declared__name="price.east"), 422, "contradiction", "/declaration/name"),
    "a limit of an unknown site": (
        body(**{**LIMIT_W, "declared__subject": "atlantis"}), 422, "unknown_site", "/declaration/subject",
    ),
    "demand of an unknown workload": (
        body(**DEMAND_OF_POETRY), 422, "unknown_workload", "/declaration/subject",
    ),
    "told in the future": (body(known_at=iso(START + timedelta(hours=2))), 422, "told_in_the_future", "/known_at"),
    "a step in two years": (body(hours([30.0], START + timedelta(days=730))), 422, "outside_window", "/points/0/start"),
    "a step of the year 1": (body(hours([30.0], datetime(1, 1, 1, tzinfo=UTC))), 422, "outside_window", "/points/0/start"),
    "a step before the year 1 in UTC": (
        body(changed(3, start="0001-01-01T00:00:00+14:00")), 422, "invalid_value", "/points/3/start",
    ),
    "days beyond the year 9999": (
        body(local_days={"zone": CHICAGO, "first": "9999-12-31", "days": 1}), 422, "invalid_value", "/local_days",
    ),
    "unsorted": (body(list(reversed(hours([1.0, 2.0, 3.0])))), 422, "unsorted", "/points/1/start"),
    "one stamp, two values": (
        body(changed(3, start=iso(START + timedelta(hours=2)))), 422, "contradicting_duplicate", "/points/3/start",
    ),
    "overlapping steps": (body(changed(3, start=iso(START + timedelta(minutes=150)))), 422, "overlap", "/points/3/start"),
    "off the grid": (body(changed(3, start=iso(START + timedelta(minutes=190)))), 422, "off_resolution", "/points/3/start"),
    "fractions of a second": (body(changed(3, start="2026-11-22T11:00:00.5Z")), 422, "off_resolution", "/points/3/start"),
    "a gap of three": (body(without(10, 11, 12)), 422, "gap", "/points/10"),
    "many small gaps": (body(without(10, 20, 30)), 422, "gap", "/points"),
    "a gap without a rule": (body(without(10), declared__fill="none"), 422, "gap", "/points/10"),
    "every fourth value only": (body(hours([1.0, 2.0, 3.0]), declared__resolution_s=900), 422, "resolution_mismatch", "/points"),
    "A03 without an end": (body(declared__curve_type="A03"), 422, "missing_field", "/end"),
    "24 hours on a day of 23": (day(SPRING, 24), 422, "wrong_day_length", "/points"),
    "22 hours on a day of 23": (day(SPRING, 22), 422, "wrong_day_length", "/points"),
    "24 hours on a day of 25": (day(AUTUMN, 24), 422, "wrong_day_length", "/points"),
    "23 hours on a day of 24": (day(date(2026, 11, 20), 23), 422, "wrong_day_length", "/points"),
    "beyond the declared cap": (body(changed(3, value=5000.01)), 422, "out_of_range", "/points/3/value"),
    "below the declared floor": (body(changed(3, value=-500.01)), 422, "out_of_range", "/points/3/value"),
    "beyond any market": (body(changed(3, value=20_001.0), **UNBOUNDED), 422, "out_of_range", "/points/3/value"),
    "half a watt": (
        body(hours([1_000_000.0, 1.5]), **LIMIT_W),
        422, "not_whole", "/points/1/value",
    ),
    "a limit in kW": (
        body(hours([2_500.0] * 3), **LIMIT_W),
        422, "unit_magnitude", "/points",
    ),
}  # fmt: skip

CSV_CASES: dict[str, tuple[str | bytes, int, str, str]] = {
    "an empty table": ("", 400, "empty", ""),
    "no header": ("2026-11-22T08:00:00Z,30\n", 400, "malformed_csv", ""),
    "a header and nothing": ("start,value\n", 422, "too_short", "/points"),
    "NaN in a cell": ("start,value\n2026-11-22T08:00:00Z,NaN\n", 400, "not_a_number", "/points/0/value"),
    "1e999 in a cell": ("start,value\n2026-11-22T08:00:00Z,1e999\n", 400, "not_a_number", "/points/0/value"),
    "an empty cell": ("start,value\n2026-11-22T08:00:00Z,\n", 400, "not_a_number", "/points/0/value"),
    "a decimal comma": ('start,value\n2026-11-22T08:00:00Z,"30,5"\n', 400, "not_a_number", "/points/0/value"),
    "a formula": ("start,value\n2026-11-22T08:00:00Z,=1+1\n", 400, "not_a_number", "/points/0/value"),
    "three cells": ("start,value\n2026-11-22T08:00:00Z,30,EUR\n", 400, "malformed_csv", "/points/0"),
    "an open quote": ('start,value\n"2026-11-22T08:00:00Z,30\n', 400, "malformed_csv", ""),
    "a huge cell": (f"start,value\n{'2' * 100},30\n", 400, "malformed_csv", "/points/0"),
    "a naive time in a cell": ("start,value\n2026-11-01T01:30:00,30\n", 422, "invalid_value", "/points/0/start"),
    "a null in a cell": (b"start,value\n2026\x00,30\n", 400, "bad_text", ""),
    "not UTF-8 in a cell": (b"start,value\n\xff,30\n", 400, "not_utf8", ""),
    "a cell over two lines": ('start,value\n"2026-11-22\nT08:00:00Z",30\n', 400, "malformed_csv", ""),
    "semicolons": ("start;value\n2026-11-22T08:00:00Z;30,5\n", 400, "malformed_csv", ""),
    "a price beyond the cap": ("start,value\n2026-11-22T08:00:00Z,9999\n", 422, "out_of_range", "/points/0/value"),
}
WHOLE_TABLE = ("an empty table", "no header", "a header and nothing", "semicolons")
"""Faults that are not those of the second line."""


def told(answer) -> tuple[int, str, str]:
    first = (answer.json.get("errors") or [{"code": "", "pointer": ""}])[0]
    return answer.status_code, first["code"], first["pointer"]


@pytest.mark.parametrize("label", SERIES)
def test_a_faulty_series_is_refused_whole(served: Served, label: str):
    sent, status, code, pointer = SERIES[label]
    content = raw(sent) if isinstance(sent, str | bytes) else json.dumps(sent)
    answer = served.client.post(PATH, data=content, content_type="application/json", headers=served.as_("feed"))
    assert told(answer) == (status, code, pointer), answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json["detail"]
    assert served.store.series.declarations() == []


@pytest.mark.parametrize("label", CSV_CASES)
def test_a_faulty_table_is_refused_whole(tmp_path: Path, label: str, known: Served):
    sent, status, code, pointer = CSV_CASES[label]
    query = {"known_at": iso(START)}
    answer = known.client.post(PATH, data=raw(sent), content_type="text/csv", query_string=query, headers=known.as_("feed"))
    assert told(answer) == (status, code, pointer), answer.text
    assert known.store.series.values("price.west", START, START + timedelta(days=1)) == []
    if status == 400:
        assert (answer.json["code"], answer.json["type"]) == ("malformed_csv", "/docs#problem-malformed_csv")
        assert answer.json["title"] == "The table of CSV cannot be read"
    assert label in WHOLE_TABLE or "line 2" in answer.json["errors"][0]["detail"]


def test_days_beyond_the_calendar_are_refused_in_a_query_too(known: Served):
    query = {"known_at": iso(START), "first_day": "9999-12-31", "days": "31"}
    table = "start,value\n2026-11-22T08:00:00Z,30\n"
    answer = known.client.post(PATH, data=table, content_type="text/csv", query_string=query, headers=known.as_("feed"))
    assert told(answer) == (422, "invalid_value", "/first_day"), answer.text


@pytest.mark.parametrize("query", ["known_by=0001-01-01T00:00:00Z", "start=9999-12-31T23:00:00Z", "start=9998-12-31T23:00:00Z"])
def test_either_end_of_the_calendar_may_be_looked_at(known: Served, query: str):
    answer = known.client.get(f"{PATH}?{query}", headers=known.as_("planner"))
    assert (answer.status_code, answer.json["points"]) == (200, [])


def test_an_instant_that_utc_does_not_hold_is_refused(known: Served):
    answer = known.client.get(f"{PATH}?start=0001-01-01T00:00:00%2B14:00", headers=known.as_("planner"))
    assert told(answer) == (422, "invalid_value", "/start"), answer.text


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory):
    """A service that knows a series, so that tables need no declaration."""
    service = Served(tmp_path_factory.mktemp("known"))
    yesterday = body(hours([30.0 + n for n in range(24)], START - timedelta(days=1)))
    assert service.client.post(PATH, json=yesterday, headers=service.as_("feed")).status_code == 200
    yield service
    service.close()


def test_a_thousandfold_price_is_refused(known: Served):
    per_gwh = body(hours([31_000.0 + n for n in range(24)]), declaration=...)
    answer = known.client.post(PATH, json=per_gwh, headers=known.as_("feed"))
    assert told(answer) == (422, "out_of_range", "/points/0/value")
    per_kwh = body(hours([0.031] * 24), declaration=...)
    answer = known.client.post(PATH, json=per_kwh, headers=known.as_("feed"))
    assert told(answer) == (422, "unit_magnitude", "/points")
    assert "41.5 USD/MWh" in answer.json["detail"]


def test_every_fault_is_told_at_once(served: Served):
    faulty = body(changed(3, value="33", start="soon"), known_at=None, declared__zone="Mars/Olympus")
    answer = served.client.post(PATH, json=faulty, headers=served.as_("feed"))
    assert {error["pointer"] for error in answer.json["errors"]} == {
        "/points/3/value", "/points/3/start", "/known_at", "/declaration/zone",
    }  # fmt: skip


ORDER = {"site": "pecos", "limit_w": 1_000_000}
POINT = {"at": iso(START), "draw_w": 2_000_000, "mode_blocks": {"row": {"eco": 2}}, "nodes_on": {"nodes": 3}}

# role, method, path, body, status, code and pointer
REQUESTS: dict[str, tuple[str, str, str, Any, int, str, str]] = {
    "a limit as text": ("operator", "POST", EVENTS, {**ORDER, "limit_w": "1e6"}, 422, "int_type", "/limit_w"),
    "a limit with a fraction": ("operator", "POST", EVENTS, {**ORDER, "limit_w": 1.5}, 422, "int_type", "/limit_w"),
    "a negative limit": ("operator", "POST", EVENTS, {**ORDER, "limit_w": -1}, 422, "greater_than_equal", "/limit_w"),
    "an order for an unknown site": ("operator", "POST", EVENTS, {**ORDER, "site": "atlantis"}, 422, "unknown_site", "/site"),
    "an order that ends before it starts": (
        "operator", "POST", EVENTS, {**ORDER, "start": iso(START), "end": iso(START)}, 422, "outside_window", "/end",
    ),
    "an emergency stop to 1 MW": (
        "operator", "POST", EVENTS, {**ORDER, "kind": "emergency_stop"}, 422, "invalid_value", "/limit_w",
    ),
    "an event of an unknown kind": ("operator", "POST", EVENTS, {**ORDER, "kind": "party"}, 422, "literal_error", "/kind"),
    "a budget of a day": ("operator", "POST", "/v1/plans", {"budget_s": 86_400}, 422, "less_than_equal", "/budget_s"),
    "a gap above 1": ("operator", "POST", "/v1/plans", {"asked_gap": 5}, 422, "less_than_equal", "/asked_gap"),
    "a what-if without changes": ("planner", "POST", WHAT_IFS, {"name": "x", "set": []}, 422, "too_short", "/set"),
    "a what-if that is no patch": (
        "planner", "POST", WHAT_IFS, {"name": "x", "set": ["hashprice=-20%", "hashprice"]}, 422, "patch_form", "/set/1",
    ),
    "a what-if of an unknown quantity": (
        "planner", "POST", WHAT_IFS, {"name": "x", "set": ["weather=good"]}, 422, "patch_quantity", "/set/0",
    ),
    "a what-if in another unit": (
        "planner", "POST", WHAT_IFS, {"name": "x", "set": ["limit[pecos]=20"]}, 422, "patch_unit", "/set/0",
    ),
    "a key of an unknown role": ("admin", "POST", KEYS, {"role": "root", "label": "x"}, 422, "literal_error", "/role"),
    "a controller without sites": ("admin", "POST", KEYS, {"role": "controller", "label": "x"}, 422, "invalid_value", "/sites"),
    "an operator with sites": (
        "admin", "POST", KEYS, {"role": "operator", "label": "x", "sites": ["pecos"]}, 422, "invalid_value", "/sites",
    ),
    "a key for an unknown site": (
        "admin", "POST", KEYS, {"role": "controller", "label": "x", "sites": ["pecos", "atlantis"]},
        422, "unknown_site", "/sites/1",
    ),
    "a key for ever": (
        "admin", "POST", KEYS, {"role": "feed", "label": "x", "lifetime_days": 365}, 422, "invalid_value", "/lifetime_days",
    ),
    "telemetry of nothing": ("controller", "POST", "/v1/sites/pecos/telemetry", {"points": []}, 422, "too_short", "/points"),
    "telemetry of last year": (
        "controller", "POST", "/v1/sites/pecos/telemetry", {"points": [{**POINT, "at": "2025-11-22T08:00:00Z"}]},
        422, "outside_window", "/points/0/at",
    ),
    "telemetry of tomorrow": (
        "controller", "POST", "/v1/sites/pecos/telemetry", {"points": [{**POINT, "at": "2026-11-23T08:00:00Z"}]},
        422, "outside_window", "/points/0/at",
    ),
    "telemetry of an unknown group": (
        "controller", "POST", "/v1/sites/pecos/telemetry", {"points": [{**POINT, "mode_blocks": {"barn": {"eco": 1}}}]},
        422, "unknown_name", "/points/0/mode_blocks/barn",
    ),
    "telemetry of an unknown mode": (
        "controller", "POST", "/v1/sites/pecos/telemetry", {"points": [{**POINT, "mode_blocks": {"row": {"warp": 1}}}]},
        422, "unknown_name", "/points/0/mode_blocks/row/warp",
    ),
    "telemetry of an unknown pool": (
        "controller", "POST", "/v1/sites/pecos/telemetry", {"points": [{**POINT, "nodes_on": {"barn": 1}}]},
        422, "unknown_name", "/points/0/nodes_on/barn",
    ),
    "a negative draw": (
        "controller", "POST", "/v1/sites/pecos/telemetry", {"points": [{**POINT, "draw_w": -1}]},
        422, "greater_than_equal", "/points/0/draw_w",
    ),
    "501 points": ("controller", "POST", "/v1/sites/pecos/telemetry", {"points": [POINT] * 501}, 422, "too_long", "/points"),
    "an unknown version acknowledged": (
        "controller", "POST", "/v1/sites/pecos/acknowledgements", {"version": 99, "state": "applied", "at": iso(START)},
        422, "unknown_version", "/version",
    ),
    "a state that is none": (
        "controller", "POST", "/v1/sites/pecos/acknowledgements", {"version": 1, "state": "done", "at": iso(START)},
        422, "literal_error", "/state",
    ),
    "a fleet without sites": ("operator", "PUT", "/v1/fleet", {"name": "x", "sites": []}, 422, "too_short", "/sites"),
    "a limit of 0 items": ("operator", "GET", "/v1/jobs?limit=0", None, 422, "greater_than_equal", "/limit"),
    "a limit of 1e3 items": ("operator", "GET", "/v1/jobs?limit=1e3", None, 422, "int_parsing", "/limit"),
    "a cursor of somebody else's": ("operator", "GET", "/v1/jobs?cursor=abc", None, 422, "unknown_cursor", "/cursor"),
    "the same parameter twice": ("operator", "GET", "/v1/jobs?limit=1&limit=2", None, 422, "repeated_parameter", "/limit"),
    "an unknown parameter": ("operator", "GET", "/v1/jobs?page=2", None, 422, "unknown_field", "/page"),
    "a parameter where none is read": ("operator", "GET", "/v1/fleet?x=1", None, 422, "unknown_field", "/x"),
    "a wait of an hour": ("operator", "GET", "/v1/sites/pecos/setpoints?wait=3600", None, 422, "less_than_equal", "/wait"),
    "a start without offset": (
        "operator", "GET", "/v1/sites/pecos/telemetry?start=2026-11-22T08:00:00", None, 422, "invalid_value", "/start",
    ),
    "a start that is a number": ("operator", "GET", "/v1/sites/pecos/telemetry?start=0.5", None, 422, "invalid_value", "/start"),
}  # fmt: skip


@pytest.mark.parametrize("label", REQUESTS)
def test_a_faulty_request_is_refused(served: Served, label: str):
    role, method, path, content, status, code, pointer = REQUESTS[label]
    answer = served.client.open(path, method=method, json=content, headers=served.as_(role)) if content is not None else (
        served.client.open(path, method=method, headers=served.as_(role))
    )  # fmt: skip
    assert told(answer) == (status, code, pointer), answer.text
    assert served.store.events.page().items == served.store.jobs.page().items == served.store.scenarios.page().items == ()
    assert served.store.telemetry.count("pecos") == 0


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=utf-16"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        ({"Content-Type": ""}, 415, "unsupported_media_type"),
        ({"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/json", "Transfer-Encoding": "chunked"}, 411, "length_required"),
    ],
)
def test_a_body_of_another_kind_is_refused(served: Served, headers, status, code):
    answer = served.client.post("/v1/events", data=json.dumps(ORDER), headers={**served.as_("operator"), **headers})
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_a_body_where_none_is_read_is_refused(served: Served):
    answer = served.client.get("/v1/fleet", data="{}", content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_the_good_ones_are_taken(tmp_path: Path):
    """What the bad ones differ from is accepted: the labels above test the fault, not something beside it."""
    served = Served(tmp_path)
    feed = served.as_("feed")
    assert served.client.post(PATH, json=body(), headers=feed).json["stored"] == 24
    for role, method, path, content in (
        ("operator", "POST", EVENTS, ORDER),
        ("operator", "POST", "/v1/plans", {"budget_s": 60, "asked_gap": 0.01}),
        ("planner", "POST", WHAT_IFS, {"name": "x", "set": ["hashprice=-20%", "limit[pecos]=20MW"]}),
        ("admin", "POST", KEYS, {"role": "controller", "label": "x", "sites": ["pecos"]}),
        ("controller", "POST", "/v1/sites/pecos/telemetry", {"points": [POINT]}),
        ("controller", "POST", "/v1/sites/pecos/acknowledgements", {"version": 1, "state": "applied", "at": iso(START)}),
        ("operator", "PUT", "/v1/fleet", served.fleet.model_dump(mode="json")),
    ):
        answer = served.client.open(path, method=method, json=content, headers=served.as_(role))
        assert answer.status_code in (200, 201, 202), answer.text
    assert datetime.now(UTC)
    served.close()
