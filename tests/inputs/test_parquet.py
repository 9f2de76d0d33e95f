"""Series as Parquet: what goes out goes in again; a file that lies, bursts or means something else is refused."""

import io
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from served import START, Served

from models.base import iso
from service import series_parquet
from service.series_parquet import PARQUET

PATH = "/v1/series/price.west"
HOUR = timedelta(hours=1)
DECLARED = {
    "name": "price.west", "kind": "price", "subject": "west", "unit": "USD/MWh", "zone": "America/Chicago",
    "resolution_s": 3600, "source": "a test", "curve_type": "A01", "fill": "previous", "licence": "CC0-1.0",
}  # fmt: skip
INSTANTS, NS = pa.timestamp("us", tz="UTC"), pa.timestamp("ns", tz="UTC")
STARTS = [START + n * HOUR for n in range(24)]
VALUES = [30.0 + n for n in range(24)]


@pytest.fixture
def served(tmp_path):
    service = Served(tmp_path)
    yield service
    service.close()


def written(columns=None, said=None, **how):
    """Return the bytes of a file of 24 good hours with changes."""
    said = {"declaration": DECLARED, "known_at": iso(START)} if said is None else said
    columns = {"start": pa.array(STARTS, INSTANTS), "value": pa.array(VALUES, pa.float64())} | (columns or {})
    table = pa.table({name: column for name, column in columns.items() if column is not None})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"wattsplit": said if isinstance(said, str) else json.dumps(said)}), sink, **how)
    return sink.getvalue()


def post(served, raw, **query):
    return served.client.post(PATH, data=raw, content_type=PARQUET, query_string=query, headers=served.as_("feed"))


def told(answer):
    first = (answer.json.get("errors") or [{"code": answer.json["code"], "pointer": ""}])[0]
    return answer.status_code, first["code"], first["pointer"]


def test_what_goes_out_goes_in_again(served, tmp_path):
    receipt = post(served, written())
    assert (receipt.status_code, receipt.json["stored"]) == (200, 24), receipt.text
    out = served.client.get(PATH, query_string={"start": iso(START)}, headers={"Accept": PARQUET})
    assert out.mimetype == PARQUET
    table = pq.read_table(io.BytesIO(out.data))
    assert table.column_names == ["start", "value", "known_at", "flags"]
    assert table["value"].to_pylist() == VALUES
    said = json.loads(table.schema.metadata[b"wattsplit"])
    assert said["declaration"]["licence"] == "CC0-1.0"
    assert said["known_at"] == iso(START)
    again = post(served, out.data)
    assert (again.json["stored"], again.json["known"]) == (0, 24)


@pytest.mark.parametrize("accept", ["application/json", "text/csv", PARQUET])
def test_every_format_tells_what_was_known_at_an_instant(served, accept):
    served.now.at = START + timedelta(hours=6)
    assert post(served, written()).json["stored"] == 24
    newer = written({"value": pa.array([v + 100 for v in VALUES], pa.float64())}, said={
        "unit": "USD/MWh", "zone": "America/Chicago", "known_at": iso(START + 3 * HOUR),
    })  # fmt: skip
    assert post(served, newer).json["stored"] == 24
    for known_by, expected in ((START + 2 * HOUR, 30.0), (START + 4 * HOUR, 130.0), (START - HOUR, None)):
        query = {"start": iso(START), "end": iso(START + HOUR), "known_by": iso(known_by)}
        answer = served.client.get(PATH, query_string=query, headers={"Accept": accept})
        values = {
            "application/json": lambda raw: [p["value"] for p in json.loads(raw)["points"]],
            "text/csv": lambda raw: [float(line.split(",")[1]) for line in raw.decode().splitlines()[1:]],
            PARQUET: lambda raw: pq.read_table(io.BytesIO(raw))["value"].to_pylist(),
        }[accept](answer.data)
        assert values == ([] if expected is None else [expected])


def test_a_table_may_be_told_when_it_was_known(served):
    said = {"declaration": DECLARED}
    assert told(post(served, written(said=said))) == (422, "missing_field", "/known_at")
    assert post(served, written(said=said), known_at=iso(START)).json["stored"] == 24


def test_other_numbers_and_instants_of_other_zones_are_read(served):
    local = pa.array(STARTS, pa.timestamp("ms", tz="America/Chicago"))
    assert post(served, written({"start": local, "value": pa.array(range(24), pa.int32())})).json["stored"] == 24


KNOWN = {"unit": "USD/MWh", "zone": "America/Chicago", "known_at": iso(START)}
CASES = {
    "no Parquet at all": (b"start,value\n1,2\n", 400, "malformed_parquet", ""),
    "nothing": (b"", 400, "malformed_parquet", ""),
    "cut off": (written()[:-40], 400, "malformed_parquet", ""),
    "cut off inside": (written()[:200] + written()[-200:], 400, "malformed_parquet", ""),
    "no value": (written({"value": None}), 400, "missing_field", "/columns/value"),
    "no start": (written({"start": None}), 400, "missing_field", "/columns/start"),
    "another column": (written({"price": pa.array(VALUES)}), 400, "unknown_field", "/columns/price"),
    "numbers as text": (written({"value": pa.array([str(v) for v in VALUES])}), 400, "wrong_type", "/columns/value"),
    "booleans": (written({"value": pa.array([True] * 24)}), 400, "wrong_type", "/columns/value"),
    "naive local time": (
        written({"start": pa.array([s.replace(tzinfo=None) for s in STARTS], pa.timestamp("us"))}),
        400, "wrong_type", "/columns/start",
    ),
    "seconds as numbers": (written({"start": pa.array(range(24))}), 400, "wrong_type", "/columns/start"),
    "NaN": (written({"value": pa.array([*VALUES[:3], float("nan"), *VALUES[4:]])}), 400, "not_finite", "/points/3/value"),
    "infinity": (written({"value": pa.array([*VALUES[:3], float("inf"), *VALUES[4:]])}), 400, "not_finite", "/points/3/value"),
    "null": (written({"value": pa.array([*VALUES[:3], None, *VALUES[4:]])}), 400, "missing_field", "/points/3/value"),
    "nanoseconds": (
        written({"start": pa.array([int(s.timestamp()) * 10**9 + (s == STARTS[3]) for s in STARTS], pa.int64()).cast(NS)}),
        400, "out_of_range", "/columns/start",
    ),
    "years beyond 9999": (
        written({"start": pa.array([2**61 + n for n in range(24)], INSTANTS)}), 400, "out_of_range", "/columns/start",
    ),
    "whole numbers that are none as floats": (
        written({"value": pa.array([2**60 + 1] * 24)}), 400, "out_of_range", "/columns/value",
    ),
    "no metadata": (written(said={}), 400, "missing_field", "/metadata/wattsplit/unit"),
    "no zone": (written(said={"unit": "USD/MWh"}), 400, "missing_field", "/metadata/wattsplit/zone"),
    "metadata that is no object": (written(said="[1]"), 400, "wrong_shape", "/metadata/wattsplit"),
    "metadata that is no JSON": (written(said="{unit: USD}"), 400, "malformed_json", "/metadata/wattsplit"),
    "unknown metadata": (written(said=KNOWN | {"points": []}), 400, "unknown_field", "/metadata/wattsplit/points"),
    "not declared": (written(said=KNOWN), 422, "missing_field", "/declaration"),
    "too many rows": (
        written({"start": pa.array([START] * 20_001, INSTANTS), "value": pa.array([1.0] * 20_001)}), 400, "too_long", "/points",
    ),
    "a bomb of columns": (
        written({"flags": pa.array(["x" * 1_000_000] * 24)}, compression="zstd", use_dictionary=False), 400, "too_large", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", CASES)
def test_a_faulty_file_is_refused_whole(served, label):
    raw, status, code, pointer = CASES[label]
    answer = post(served, raw)
    assert told(answer) == (status, code, pointer), answer.text
    assert served.store.series.declarations() == []
    if status == 400:
        assert (answer.json["code"], answer.json["title"]) == ("malformed_parquet", "The Parquet file cannot be read")
        assert answer.json["type"] == "/docs#problem-malformed_parquet"
    assert pointer != "/points/3/value" or "row 4: " in answer.json["errors"][0]["detail"]


def test_unit_and_zone_that_contradict_the_declaration_are_refused(served):
    assert post(served, written()).status_code == 200
    assert told(post(served, written(said=KNOWN | {"zone": "UTC"}))) == (422, "contradiction", "/zone")
    assert told(post(served, written(said=KNOWN | {"unit": "degC"}))) == (422, "contradiction", "/unit")


def test_damage_anywhere_is_an_answer_and_not_a_failure(served):
    """Headers of pages and the footer claim sizes: whatever they claim, the child that reads them answers or is ended."""
    whole = written(compression="gzip", use_dictionary=False, write_statistics=False)
    for place in (5, 8, 12, len(whole) // 2, len(whole) - 120, len(whole) - 9):
        burst = whole[:place] + b"\xfe\xff\xff\x7f" + whole[place + 4 :]
        answer = post(served, burst)
        assert answer.status_code in (200, 400, 422), f"byte {place}: {answer.text}"
        values = [p.value for p in served.store.series.values("price.west", START, START + 24 * HOUR)]
        assert values in ([], VALUES), f"byte {place}"


def test_without_pyarrow_it_is_said_what_to_install(served, tmp_path, monkeypatch):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(series_parquet.sys, "executable", str(bare / "bin" / "python"))
    answer = post(served, written())
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")
    assert "wattsplit[parquet]" in answer.json["detail"]
    shutil.rmtree(bare)


def test_a_day_of_a_clock_change_is_counted(served):
    first = datetime(2026, 11, 1, 5, tzinfo=UTC)
    quarters = [first + n * timedelta(minutes=15) for n in range(100)]
    declared = DECLARED | {"resolution_s": 900}
    days = {"zone": "America/Chicago", "first": "2026-11-01", "days": 1}
    said = {"declaration": declared, "known_at": iso(START), "local_days": days}

    def day(count):
        starts = pa.array(quarters[:count], INSTANTS)
        return written({"start": starts, "value": pa.array([20.0 + n % 9 for n in range(count)])}, said=said)

    assert told(post(served, day(96))) == (422, "wrong_day_length", "/points")
    assert post(served, day(100)).json["stored"] == 100
