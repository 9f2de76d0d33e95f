"""Every planted fault ends as the table of defects demands, over HTTP as JSON and Parquet and through a folder.

Refused: with the code and pointer of the first error, and nothing is kept. Flagged: kept with exactly its flags.
"""

import io
import json
import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_faults import planted
from served import Served

from models.base import iso
from models.reading import parse
from models.time_grid import local_day_grid
from service.alarms import Alarms
from service.feeds.feeds_file import FeedsFile
from service.feeds.runner import FeedRunner
from service.series_parquet import PARQUET

WAYS = ("json", "parquet", "folder")
CASES = [
    (label, way)
    for label, fault in {**planted.REFUSED, **planted.FLAGGED}.items()
    for way in WAYS
    if not (fault.only_json and way == "parquet")
]
IN_PARQUET = {"naive local times on a day of a clock change": ("wrong_type", "/columns/start")}
"""What a column's type tells already."""


class House:
    """A service, and a folder that it watches."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.served = Served(folder, publish=False)
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        feed = {"kind": "drop_folder", "name": "inbox", "folder": str(self.inbox), "licence": "ours"}
        self.runner = FeedRunner(
            parse(FeedsFile, {"feeds": [feed]}).feeds,
            self.served.store,
            Alarms(self.served.store, self.served.now),
            self.served.now,
        )

    def hand_in(self, data: Any, way: str) -> tuple[int, str, str, dict[str, int]]:
        """Return status, code and pointer of the first error, and the flags by count."""
        name = data.declaration["name"]
        if way == "folder":
            return self._drop(name, written_json(data))
        raw, kind = (written_parquet(data), PARQUET) if way == "parquet" else (written_json(data), "application/json")
        answer = self.served.client.post(f"/v1/series/{name}", data=raw, content_type=kind, headers=self.served.as_("feed"))
        if answer.status_code == 200:
            return 200, "", "", {found["flag"]: found["steps"] for found in answer.json["flagged"]}
        first = answer.json["errors"][0]
        return answer.status_code, first["code"], first["pointer"], {}

    def _drop(self, name: str, raw: bytes) -> tuple[int, str, str, dict[str, int]]:
        path = self.inbox / f"{name}.json"
        path.write_bytes(raw)
        old = (self.served.now() - timedelta(minutes=1)).timestamp()
        os.utime(path, (old, old))
        polled = self.runner.poll_now("inbox", "test")
        assert not path.exists(), polled.error
        whys = sorted((self.inbox / "refused").glob("*.why")) if (self.inbox / "refused").exists() else []
        if not whys:
            assert polled.state == "done", polled.error
            return 200, "", "", {found.flag: found.steps for found in polled.receipts[0].flagged}
        assert polled.state == "failed"
        first = json.loads(whys[-1].read_text())["errors"][0]
        for left in (self.inbox / "refused").iterdir():
            left.unlink()
        return 422, first["code"], first["pointer"], {}

    def kept(self, name: str) -> list[Any]:
        return self.served.store.series.values(
            name, planted.KNOWN_AT - timedelta(days=400), planted.KNOWN_AT + timedelta(days=400)
        )

    def close(self) -> None:
        self.runner.stop()
        self.served.close()


def written_json(data: Any) -> bytes:
    return json.dumps(data.content).replace('"1e999 unquoted"', "1e999").encode()


def written_parquet(data: Any) -> bytes:
    starts, values = [row[0] for row in data.rows], [row[1] for row in data.rows]
    if starts and isinstance(starts[0], str):
        column = pa.array([datetime.fromisoformat(start) for start in starts], pa.timestamp("us"))
    else:
        column = pa.array(starts, pa.timestamp("us", tz="UTC"))
    said = {"wattsplit": json.dumps({"declaration": data.declaration} | data.said)}
    sink = io.BytesIO()
    pq.write_table(pa.table({"start": column, "value": pa.array(values, pa.float64())}).replace_schema_metadata(said), sink)
    return sink.getvalue()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A house for what is refused: as nothing is kept, the next one finds it as it was."""
    house = House(tmp_path_factory.mktemp("shared") / "house")
    yield house
    house.close()


@pytest.fixture
def fresh(tmp_path):
    house = House(tmp_path / "house")
    yield house
    house.close()


def without_gone(data: Any) -> Any:
    data.declaration = {k: v for k, v in data.declaration.items() if v is not planted.GONE}
    return data


def test_there_are_enough_faults():
    assert len(planted.REFUSED) + len(planted.FLAGGED) >= 60


ALONE = [case for case in CASES if case[0] in planted.REFUSED and planted.REFUSED[case[0]].make().before is None]
WITH_HISTORY = [case for case in CASES if case not in ALONE]


@pytest.mark.parametrize(("label", "way"), ALONE)
def test_a_refused_fault_keeps_nothing(shared, label, way):
    fault = planted.REFUSED[label]
    data = without_gone(fault.make())
    status, code, pointer, _ = shared.hand_in(data, way)
    expected = IN_PARQUET.get(label, (fault.code, fault.pointer)) if way == "parquet" else (fault.code, fault.pointer)
    if way == "parquet" and code == "missing_field" and label == "null":
        expected = ("missing_field", fault.pointer)
    assert status in (400, 422)
    assert (code, pointer) == expected
    assert shared.served.store.series.declarations() == []


@pytest.mark.parametrize(("label", "way"), WITH_HISTORY)
def test_what_is_known_before_counts_and_flags_are_exact(fresh, label, way):
    fault = planted.REFUSED.get(label) or planted.FLAGGED[label]
    data = without_gone(fault.make())
    before = 0
    if data.before is not None:
        known = planted.Data(data.declaration, data.before, {"known_at": iso(planted.KNOWN_AT - timedelta(days=1))})
        assert fresh.hand_in(known, "json")[:3] == (200, "", "")
        before = len(data.before)
    status, code, pointer, flags = fresh.hand_in(data, way)
    points = fresh.kept(data.declaration["name"])
    if fault.code is not None:
        assert (status, code, pointer) == (422, fault.code, fault.pointer)
        assert len(points) == before
        return
    assert (status, flags) == (200, fault.flags)
    assert sum(1 for point in points if point.flags) == max(fault.flags.values()), "and the store keeps them by interval"


@pytest.mark.parametrize(("day", "step_s", "good", "bad"), [
    ("2026-11-01", 900, 100, 96), ("2026-03-08", 900, 92, 96), ("2026-11-01", 3600, 25, 24), ("2026-03-08", 3600, 23, 24),
])  # fmt: skip
def test_a_table_of_a_local_day_is_counted_too(fresh, day, step_s, good, bad):
    declared = planted.DECLARED | {"resolution_s": step_s}
    start = local_day_grid(planted.ZONE, date.fromisoformat(day)).start
    before = planted.Data(declared, [[start - timedelta(seconds=step_s), 30.0]])
    assert fresh.hand_in(before, "json")[0] == 200
    for count, status in ((bad, 422), (good, 200)):
        rows = (f"{iso(start + n * timedelta(seconds=step_s))},{value}" for n, value in enumerate(planted.market(2, count)))
        answer = fresh.served.client.post(
            "/v1/series/price.west", data="\n".join(["start,value", *rows]), content_type="text/csv",
            query_string={"known_at": iso(planted.KNOWN_AT), "first_day": day}, headers=fresh.served.as_("feed"),
        )  # fmt: skip
        assert answer.status_code == status, answer.text
        if status == 422:
            assert (answer.json["errors"][0]["code"], answer.json["errors"][0]["pointer"]) == ("wrong_day_length", "/points")
            assert f"have {good} steps" in answer.json["detail"]
