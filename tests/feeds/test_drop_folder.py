"""A folder of files: whole ones are kept and put away, faulty ones are put aside with their reasons, half ones are left."""

import errno
import io
import json
import os
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from served import START

from models.base import iso

HOUR = timedelta(hours=1)
DECLARED = {
    "name": "price.west", "kind": "price", "subject": "west", "unit": "USD/MWh", "zone": "America/Chicago",
    "resolution_s": 3600, "source": "a test", "curve_type": "A01", "fill": "previous",
}  # fmt: skip
VALUES = [30.0 + n for n in range(24)]


@pytest.fixture
def folder(tmp_path, served):
    (there := tmp_path / "in").mkdir()
    served.feed({"kind": "drop_folder", "name": "source", "folder": str(there), "declarations": [DECLARED]})
    return there


def content(values=VALUES, **changes):
    points = [{"start": iso(START + n * HOUR), "value": value} for n, value in enumerate(values)]
    return {"declaration": DECLARED, "known_at": iso(START), "points": points} | changes


def put(folder, name, raw, *, at=START):
    path = folder / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode() if isinstance(raw, str) else json.dumps(raw).encode())
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def names(folder, *more):
    return sorted(path.name for path in folder.joinpath(*more).iterdir() if path.is_file())


def parquet(values=VALUES):
    starts = pa.array([START + n * HOUR for n in range(len(values))], pa.timestamp("us", tz="UTC"))
    said = json.dumps({"declaration": DECLARED, "known_at": iso(START)})
    sink = io.BytesIO()
    pq.write_table(pa.table({"start": starts, "value": values}).replace_schema_metadata({"wattsplit": said}), sink)
    return sink.getvalue()


def table(values=VALUES):
    return "start,value\n" + "".join(f"{iso(START + n * HOUR)},{value}\n" for n, value in enumerate(values))


@pytest.mark.parametrize(("suffix", "make"), [("json", content), ("csv", table), ("parquet", parquet)])
def test_a_whole_file_is_kept_and_put_away(served, folder, suffix, make):
    put(folder, f"price.west__today.{suffix}", make())
    polled = served.poll()
    assert polled.error is None, polled.error
    assert [r.stored for r in polled.receipts] == [24]
    assert served.values("price.west") == VALUES
    assert names(folder) == []
    assert names(folder, "processed") == [f"20261122T080500Z-price.west__today.{suffix}"]
    (point, *_) = served.store.series.values("price.west", START, START + HOUR)
    assert point.known_at == START


def test_a_name_that_is_no_text_is_put_aside_and_stops_no_other(served, folder):
    put(folder, os.fsdecode(b"pr\xfcfung.csv"), table(), at=START - HOUR)
    put(folder, "price.west.csv", table())
    polled = served.poll()
    assert "pr\\xfcfung.csv" in polled.error
    assert [r.stored for r in polled.receipts] == [24]
    assert names(folder) == []
    assert len(names(folder, "refused")) == 2
    assert json.loads(served.runner.status()[0].model_dump_json())["last_error"] == polled.error


def test_a_file_that_may_not_be_read_is_put_aside_and_stops_no_other(served, folder, monkeypatch):
    closed, real = put(folder, "price.west__closed.csv", table(), at=START - HOUR), os.open

    def may_not(path, *how, **more):
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied")  # tests may run as root, who may read everything
        return real(path, *how, **more)

    monkeypatch.setattr(os, "open", may_not)
    put(folder, "price.west.csv", table())
    polled = served.poll()
    assert "price.west__closed.csv" in polled.error
    assert "Permission denied" in polled.error
    assert [r.stored for r in polled.receipts] == [24]
    assert names(folder) == []


def test_a_faulty_file_is_put_aside_with_its_reasons_and_stops_no_other(served, folder):
    put(folder, "price.west.json", content([*VALUES[:3], 99_999.0, *VALUES[4:]]))
    put(folder, "price.west__later.csv", table())
    polled = served.poll()
    assert polled.state == "failed"
    assert "out_of_range" in polled.error
    assert [r.stored for r in polled.receipts] == [24]
    (refused, why) = names(folder, "refused")
    assert why == f"{refused}.why"
    told = json.loads((folder / "refused" / why).read_text())
    assert told["file"] == "price.west.json"
    assert [(e["pointer"], e["code"]) for e in told["errors"]] == [("/points/3/value", "out_of_range")]


def test_a_faulty_file_is_an_alarm_and_makes_no_other_wait(served, folder):
    put(folder, "price.west.json", content([99_999.0] * 24))
    served.poll()
    (status,) = served.runner.status()
    assert status.next_poll_at - served.now() <= timedelta(seconds=50)
    put(folder, "price.west__more.csv", table(["x"]))
    served.poll()
    assert sorted(alarm["words"].partition(":")[0] for alarm in served.raised("feed_failed")) == [
        "price.west.json",
        "price.west__more.csv",
    ]


FAULTY = {
    "price.west.json": (b'{"points": [', "malformed_json"),
    "price.west.csv": ("start,value\n2026-11-22T08:00:00Z,NaN\n", "not_a_number"),
    "price.west.parquet": (b"PAR1 is what it begins with", "malformed_parquet"),
    "price.west.xlsx": (b"PK", "unsupported_media_type"),
    "price.east.csv": (table(), "missing_field"),
    "price.east.json": (content(), "contradiction"),
    "price.west__a.csv": ("", "empty"),
    "price.west__b.json": (content(known_at=iso(START + HOUR)), "told_in_the_future"),
    "../price.json": (None, None),
}


@pytest.mark.parametrize("name", [name for name in FAULTY if FAULTY[name][1]])
def test_every_fault_has_its_code(served, folder, name):
    raw, code = FAULTY[name]
    put(folder, name, raw)
    assert served.poll().state == "failed"
    (why,) = [n for n in names(folder, "refused") if n.endswith(".why")]
    assert json.loads((folder / "refused" / why).read_text())["errors"][0]["code"] == code
    assert served.store.series.declarations() == []
    assert names(folder) == []


def test_a_file_that_is_not_whole_yet_is_left(served, folder):
    put(folder, "price.west.csv.part", table())
    put(folder, ".price.west.csv", table())
    put(folder, "price.west.csv", table()[:100], at=served.now() - timedelta(seconds=1))
    assert served.poll().error is None
    assert names(folder) == [".price.west.csv", "price.west.csv", "price.west.csv.part"]
    assert served.store.series.declarations() == []
    (folder / "price.west.csv.part").rename(folder / "price.west.csv")
    assert served.poll().receipts[0].stored == 24


def test_a_file_that_changes_while_it_is_read_is_left(served, folder, monkeypatch):
    """Somebody writes on between the look at the folder and the end of the reading."""
    path = put(folder, "price.west.csv", table(VALUES[:12]))
    real = os.open

    def late(target, *words, **more):
        if target == path:
            put(folder, "price.west.csv", table())
        return real(target, *words, **more)

    monkeypatch.setattr(os, "open", late)
    assert served.poll().receipts == ()
    monkeypatch.undo()
    assert served.poll().receipts[0].stored == 24


def test_the_same_file_again_is_known(served, folder):
    for _ in range(2):
        put(folder, "price.west.json", content())
        polled = served.poll()
        assert polled.error is None
    assert (polled.receipts[0].stored, polled.receipts[0].known) == (0, 24)
    assert len(names(folder, "processed")) == 2
    put(folder, "price.west.json", content([value + 1 for value in VALUES]))
    assert "conflict" in served.poll().error
    assert served.values("price.west") == VALUES


def test_a_crash_before_a_file_is_put_away_keeps_nothing_twice(served, folder, monkeypatch):
    put(folder, "price.west.json", content())
    monkeypatch.setattr("pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")))
    assert "cannot be moved" in served.poll().error
    monkeypatch.undo()
    assert served.poll().receipts[0].known == 24
    assert names(folder) == []


def test_links_out_of_the_folder_and_other_folders_are_not_followed(served, folder, tmp_path):
    put(tmp_path, "price.west.json", content())
    (folder / "price.west.json").symlink_to(tmp_path / "price.west.json")
    (folder / "price.west.csv").mkdir()
    os.mkfifo(folder / "price.west.parquet")
    assert served.poll().receipts == ()
    assert served.store.series.declarations() == []


def test_a_file_that_is_too_large_is_put_aside_unread(served, folder):
    served.feed({"kind": "drop_folder", "name": "source", "folder": str(folder), "max_bytes": 1_000})
    put(folder, "price.west.json", content())
    assert "too_large" in served.poll().error


def test_a_folder_that_is_not_there_is_named(served, tmp_path):
    served.feed({"kind": "drop_folder", "name": "source", "folder": str(tmp_path / "nowhere")})
    assert "No such file" in served.poll().error


def test_a_limit_that_comes_as_a_file_is_told_to_the_planner(served, folder):
    limit = DECLARED | {"name": "limit.pecos", "kind": "limit", "unit": "W", "subject": "pecos"}
    put(folder, "limit.pecos.json", content([2_000_000.0] * 3, declaration=limit))
    assert served.poll().error is None
    assert served.planning.limits_told == 1
