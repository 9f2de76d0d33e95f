"""`wattsplit forecast`: paths out of a history, and what the running service says of its series."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from served import START as SERVED_START
from served import Served

from scenarios.feed import reference_problem
from service.forecasting import Trainer
from service.store.series_records import SeriesDeclaration, SeriesPoint

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A problem and the history of its hashprice and of one temperature, as files."""
    problem = reference_problem(START, hours=24)
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    rng, rows = np.random.default_rng(3), [f"start,hashprice,ambient:{sorted(problem.ambient_c)[0]}"]
    for n in range(70 * 24, 0, -1):
        at = START - n * HOUR
        rows.append(f"{at.isoformat()},{40 + rng.normal() / 2:.3f},{15 + 5 * np.sin(at.hour / 4) + rng.normal():.2f}")
    (tmp_path / "history.csv").write_text("\n".join(rows))
    return tmp_path


def test_paths_are_written_as_futures_and_the_same_for_the_same_seed(wattsplit, files: Path):
    words = ("forecast", "paths", "problem.json", "--history", "history.csv", "--count", "5", "--json")
    first, again = wattsplit(*words, "--seed", "4"), wattsplit(*words, "--seed", "4", "--out", "again.json")
    assert (first.code, again.code) == (0, 0)
    assert first.json["scenarios"] == 5
    assert first.json["digest"] == again.json["digest"]
    written = yaml.safe_load((files / "futures.yaml").read_text())
    assert written == json.loads((files / "again.json").read_text())
    assert sum(one["probability_ppm"] for one in written["scenarios"]) == 1_000_000
    assert {len(one["hashprice_usd_per_ph_day"]) for one in written["scenarios"]} == {24}


def test_a_history_that_is_no_history_is_bad_input(wattsplit, files: Path):
    (files / "history.csv").write_text("start,coal\n2026-11-01T00:00:00Z,3\n")
    ended = wattsplit("forecast", "paths", "problem.json", "--history", "history.csv")
    assert ended.code == 3
    assert "coal" in ended.err
    (files / "history.csv").write_text("start,hashprice\n2026-11-01T00:00:00Z,3\n2026-11-01T01:00:00Z,3\n")
    ended = wattsplit("forecast", "paths", "problem.json", "--history", "history.csv")
    assert ended.code == 3
    assert "expected at least 260 steps to learn from, got 2" in " ".join(ended.err.split())
    assert wattsplit("forecast", "paths", "problem.json", "--history", "nowhere.csv").code == 3


def test_scores_of_days_that_cannot_be_are_refused(wattsplit, files: Path):
    for start, told, code in (
        ("9999-12-01", "out of range", 3),
        ("2023-02-30", "expected a day", 2),
        ("soon", "expected a day", 2),
    ):
        ended = wattsplit("forecast", "score", "--market", "ercot_north", "--from", start, "--data", str(files))
        assert (ended.code, "Traceback" in ended.err) == (code, False)
        assert told in ended.err
    ended = wattsplit("forecast", "score", "--market", "nowhere", "--data", str(files))
    assert ended.code == 3
    assert "expected one of" in ended.err


def test_paths_out_of_what_the_running_service_was_told(wattsplit, tmp_path: Path):
    """Nothing that was told after the problem begins is looked at, though the service has it."""
    problem = reference_problem(SERVED_START, hours=24)
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    served, rng = Served(tmp_path), np.random.default_rng(5)
    declared = SeriesDeclaration(
        name="paid",
        kind="hashprice",
        subject=None,
        unit="USD/PH/day",
        zone="UTC",
        resolution_s=3600,
        source="a test",
        curve_type="A01",
    )
    served.store.series.declare(declared, at=SERVED_START)
    values = 40 * np.exp(np.cumsum(rng.normal(0, 0.004, 720)))
    starts = [SERVED_START - HOUR * (720 - n) for n in range(720)]
    served.store.series.add(
        "paid", [SeriesPoint(start=s, value=float(v), known_at=s + HOUR) for s, v in zip(starts, values, strict=True)]
    )
    words = ("forecast", "paths", "problem.json", "--count", "4", "--json")
    with served.listening() as address:
        made = wattsplit(*words, url=address)
        late = [SeriesPoint(start=SERVED_START - HOUR, value=90.0, known_at=SERVED_START + HOUR)]
        served.store.series.add("paid", late)
        again = wattsplit(*words, url=address)
    served.close()
    assert made.code == 0, made.err
    assert made.json["digest"] == again.json["digest"]
    first = [one["hashprice_usd_per_ph_day"][0] for one in yaml.safe_load((tmp_path / "futures.yaml").read_text())["scenarios"]]
    assert np.mean(first) == pytest.approx(values[-1], rel=0.02)


def test_models_and_forecasts_of_the_running_service(wattsplit, tmp_path: Path):
    served = Served(tmp_path)
    declared = SeriesDeclaration(
        name="chat",
        kind="demand",
        subject="chat",
        unit="tokens/h",
        zone="UTC",
        resolution_s=3600,
        source="a test",
        curve_type="A01",
    )
    noise, end = np.random.default_rng(2), SERVED_START + HOUR
    values = [(end - HOUR * n, 1e6 * (2 + np.sin(n / 4)) * (1 + 0.05 * noise.standard_normal())) for n in range(720, 0, -1)]
    served.store.series.declare(declared, at=SERVED_START)
    served.store.series.add("chat", [SeriesPoint(start=at, value=v, known_at=min(at + HOUR, SERVED_START)) for at, v in values])
    with served.listening() as address:
        none_yet = wattsplit("forecast", "list", url=address)
        Trainer(served.store, lambda: served.now()).turn()
        listed, shown = (wattsplit("forecast", *words, url=address) for words in (("list",), ("show", "chat", "--hours", "6")))
        as_json = wattsplit("forecast", "show", "chat", "--hours", "6", "--json", url=address)
    served.close()
    assert "none trained yet" in " ".join(none_yet.out.split())
    assert listed.code == shown.code == 0
    assert "demand-shape 1" in " ".join(listed.out.split())
    assert "10–90 %" in " ".join(listed.out.split())
    assert shown.out.count("2026-11-22") > 6
    assert "naive" in shown.out
    assert len(as_json.json["forecast"]["mean"]) == 6
