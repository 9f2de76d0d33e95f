"""Scores by hand, quantiles against numpy, and a rolling origin that goes on where it stopped."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.forecast.origins import STUDY, Trial, origin, run
from scenarios.forecast.scores import pinball, score, winkler
from scenarios.forecast.spread import likely, quantiles, scales, tamed
from scenarios.markets import MARKETS
from service.cli.app import run as wattsplit
from service.cli.forecast_tables import markdown


def test_scores_by_hand():
    found = score(
        "m", "USD/MWh", np.array([10.0, 30.0]), np.array([[5.0, 12.0, 20.0], [0.0, 20.0, 25.0]]), np.array([13.0, 21.0])
    )
    assert found.mae == 6.0
    assert found.pinball == pytest.approx(np.mean([0.5, 1.0, 1.0, 3.0, 5.0, 4.5]))
    assert found.winkler == pytest.approx((15 + 25 + 10 * 5) / 2)
    assert (found.covered_share, found.below_share, found.bias) == (0.5, 0.0, -3.0)
    assert found.rmse == pytest.approx(np.sqrt((9 + 81) / 2))


def test_nobody_gains_by_another_quantile_than_the_true_one():
    actual = np.random.default_rng(1).normal(0, 1, 20_000)
    truth = np.quantile(actual, [0.1, 0.9])
    for off in (-0.3, 0.3):
        assert pinball(actual, truth[1], 0.9).mean() < pinball(actual, truth[1] + off, 0.9).mean()
        assert winkler(actual, *truth).mean() < winkler(actual, truth[0] - off, truth[1] + off).mean()


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="m: expected at least one step to score"):
        score("m", "USD/MWh", np.zeros(0), np.zeros((0, 3)), np.zeros(0))
    with pytest.raises(ValueError, match="m: expected numbers"):
        score("m", "USD/MWh", np.array([np.nan]), np.zeros((1, 3)), np.zeros(1))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40))
def test_quantiles_of_equal_weights_are_those_of_numpy(values: list[float]):
    samples = np.array(values)[:, None]
    weights = np.full(samples.shape, 1 / len(values))
    found = quantiles(samples, weights, (50_000, 500_000, 950_000))[:, 0]
    assert np.allclose(found, np.quantile(values, [0.05, 0.5, 0.95], method="hazen"), atol=1e-6)


def test_the_scale_of_a_day_knows_no_later_day():
    errors = np.random.default_rng(4).normal(0, 1, (60, 24))
    for lead in (0, 1):
        loud = errors.copy()
        loud[40:] = 50.0
        found, again = scales(errors, lead), scales(loud, lead)
        typical = scales(loud, lead)[0] / scales(errors, lead)[0]
        assert typical > 1  # only the typical size, which holds where nothing is known yet, is that of all days
        assert np.all(np.abs(again[20 : 41 + lead] - found[20 : 41 + lead]) < 0.1 * typical)
        assert again[42 + lead] > 3 * found[42 + lead]


def test_only_the_dearest_hundredth_is_put_down():
    samples = np.arange(1000.0)[:, None]
    found = tamed(samples, np.full(samples.shape, 1e-3))
    assert (found[:990] == samples[:990]).all()
    assert found[990:] == pytest.approx(989.5)


def test_too_few_errors_are_refused():
    with pytest.raises(ValueError, match="at least 20 days of errors for quantiles, got 7"):
        likely(np.ones((7, 24)), 0)


def folder(path: Path, days: int = 160, lost: tuple[int, ...] = ()) -> Path:
    """A folder of larger data with a made-up market of Australia in the real file's form."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rng = np.random.default_rng(6)
    hours = np.arange(24 * days)
    values = 60 + 25 * np.sin(hours * np.pi / 12) + np.repeat(rng.normal(0, 5, days), 24) + rng.normal(0, 3, len(hours))
    starts = np.datetime64("2021-12-31T14:00", "us") + hours.astype("timedelta64[h]")
    kept = ~np.isin(hours // 24, lost)
    table = pyarrow.table(
        {"ts_utc": pyarrow.array(starts[kept], pyarrow.timestamp("us", "UTC")), "NSW1": values[kept], "VIC1": values[kept]}
    )
    (path / "prices").mkdir(parents=True)
    parquet.write_table(table, path / "prices" / "au_nem_hourly_nsw_vic_2020_2023.parquet")
    return path


TRIAL = Trial(market="nsw", first=date(2022, 5, 1), days=12, ahead_days=2, refit_days=6)


def test_a_rolling_origin_goes_on_where_it_stopped_and_scores_the_same(tmp_path: Path):
    data, heard = folder(tmp_path / "data"), []
    whole = run(TRIAL, data, tmp_path / "whole", lambda share, words: heard.append((share, words)))
    assert heard == [(0.0, "nsw from 2022-05-01"), (0.5, "nsw from 2022-05-07")]
    assert [one.steps for one in whole.scores] == [576] * 4
    assert [one.steps for one in whole.by_day[1]] == [288] * 4
    assert "| nsw | 2 | " in markdown([whole])
    assert whole.of("lear").mae < whole.of("last-week").mae
    (tmp_path / "whole" / "2022-05-07.csv").rename(tmp_path / "kept.csv")
    untouched = (tmp_path / "whole" / "2022-05-01.csv").stat().st_mtime_ns
    assert run(TRIAL, data, tmp_path / "whole", lambda share, words: None) == whole
    assert (tmp_path / "whole" / "2022-05-01.csv").stat().st_mtime_ns == untouched
    assert (tmp_path / "whole" / "2022-05-07.csv").read_text() == (tmp_path / "kept.csv").read_text()
    with pytest.raises(ValueError, match=r"expected a leg of .* give another folder"):
        run(TRIAL.model_copy(update={"days": 13}), data, tmp_path / "whole", lambda share, words: None)


def test_days_that_never_came_are_not_scored_and_told(tmp_path: Path):
    data = folder(tmp_path / "data", lost=tuple(range(121, 132)))
    found = run(TRIAL, data, tmp_path / "out", lambda share, words: None)
    assert len(found.left_out) >= 9
    assert any("no price of these days ever came" in why for why in found.left_out.values())
    assert found.of("lear").steps < 100


def test_forecasts_are_made_before_the_auction_and_at_midnight_elsewhere():
    assert f"{origin('eu_de_lu', date(2023, 6, 2)):%d %H:%M}" == "01 09:00"  # 11:00 in Berlin
    assert f"{origin('ercot_north', date(2023, 6, 2)):%d %H:%M}" == "02 05:00"
    assert set(STUDY) <= set(MARKETS)


def test_the_command_prints_and_writes_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, out = folder(tmp_path / "data"), tmp_path / "out"
    words = [
        "forecast",
        "score",
        "--market",
        "nsw",
        "--from",
        "2022-05-01",
        "--months",
        "1",
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    assert wattsplit([*words, "--quiet"]) == 0
    assert "lear: MAE" in (shown := capsys.readouterr().out)
    assert "31" in shown
    told = json.loads((out / "nsw" / "scores.json").read_text())
    assert [one["model"] for one in told["scores"]] == ["lear", "expert", "yesterday", "last-week"]
    assert (out / "scores.md").read_text().startswith("| market | from |")
    assert wattsplit([*words, "--json"]) == 0  # from the files alone
    assert json.loads(capsys.readouterr().out)[0]["scores"] == told["scores"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--market", "mars"], 3, "market: expected one of"),
        (["--market", "nsw", "--from", "soon"], 2, "expected a day such as 2023-01-01, got 'soon'"),
        ([], 2, "expected --market or --study"),
    ],
)
def test_the_command_refuses_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str):
    assert wattsplit(["forecast", "score", *words, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == code
    assert told in capsys.readouterr().err
