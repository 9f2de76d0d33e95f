"""Forecasts over HTTP: which series have a model, how it did, and its quantiles from what is known now."""

from datetime import timedelta

import numpy as np
import pytest
from served import START, Served

from service.forecasting import Trainer
from service.store.series_records import SeriesDeclaration, SeriesPoint

HOUR = timedelta(hours=1)
KNOWN = START.replace(minute=0) + HOUR
"""Until then demand is told."""


def declared(name, kind, unit):
    return SeriesDeclaration(
        name=name, kind=kind, subject=name, unit=unit, zone="UTC", resolution_s=3600, source="a test", curve_type="A01"
    )


@pytest.fixture
def fed(served: Served) -> Served:
    """A service whose series `chat` has thirty days and a model, and whose series `air` has nothing yet."""
    noise = np.random.default_rng(2)
    starts = [KNOWN - HOUR * n for n in range(30 * 24, 0, -1)]
    points = [
        SeriesPoint(
            start=at, value=1e6 * (2 + np.sin(at.hour / 4)) * (1 + 0.05 * noise.standard_normal()), known_at=min(at + HOUR, START)
        )
        for at in starts
    ]
    served.store.series.declare(declared("air", "ambient", "degC"), at=START)
    served.store.series.declare(declared("chat", "demand", "tokens/h"), at=START)
    served.store.series.declare(declared("limits", "limit", "W"), at=START)
    served.store.series.add("chat", points)
    Trainer(served.store, lambda: served.now()).turn()
    return served


def test_the_list_names_every_series_that_can_be_forecast_and_its_model(fed: Served):
    items = fed.client.get("/v1/forecasts", headers=fed.as_("planner")).json["items"]
    assert [item["declaration"]["name"] for item in items] == ["air", "chat"]
    assert [item["used"] for item in items] == [
        False,
        items[1]["model"]["score"]["mae"] < items[1]["model"]["score"]["naive_mae"],
    ]
    assert items[0]["model"] is None
    model = items[1]["model"]
    assert (model["model"], model["version"]) == ("demand-shape 1", 1)
    assert model["digest"].startswith("sha256:")
    assert model["data"]["points"] == 720
    assert model["trained_until"] == fed.now().isoformat().replace("+00:00", "Z")
    assert model["seconds"] > 0
    assert set(model["score"]) == {"origins", "steps", "mae", "naive_mae", "pinball", "coverage_share"}


def test_a_forecast_has_quantiles_mean_and_yardstick_from_the_end_of_what_is_told(fed: Served):
    answer = fed.client.get("/v1/forecasts/chat?hours=24", headers=fed.as_("operator")).json
    forecast = answer["forecast"]
    assert forecast["grid"]["start"] == KNOWN.isoformat().replace("+00:00", "Z")
    steps = len(forecast["mean"])
    assert steps == 24  # a day after now, from an hour after now on, in whole hours
    assert {500_000, 100_000, 900_000} <= set(forecast["levels_ppm"])
    assert all(len(row) == steps for row in (*forecast["values"], forecast["yardstick"]))
    assert forecast["issued_at"] == fed.now().isoformat().replace("+00:00", "Z")
    assert answer["used"] == (answer["model"]["score"]["mae"] < answer["model"]["score"]["naive_mae"])
    later = fed.client.get("/v1/forecasts/chat?start=2026-11-23T00:00:00Z&hours=6", headers=fed.as_("operator")).json["forecast"]
    assert len(later["mean"]) == 6
    assert later["mean"][0] == pytest.approx(forecast["mean"][15])


@pytest.mark.parametrize(
    ("query", "field"),
    [("start=2026-11-20T00:00:00Z", "/start"), ("start=2026-11-23T00:30:00Z", "/start"), ("start=9999-12-31T23:00:00Z", "/start"),
     ("hours=0", "/hours"), ("hours=9000", "/hours"), ("from=2026-11-23T00:00:00Z", "/from")],
)  # fmt: skip
def test_hours_that_cannot_be_forecast_are_refused_by_name(fed: Served, query, field):
    answer = fed.client.get(f"/v1/forecasts/chat?{query}", headers=fed.as_("planner"))
    assert answer.status_code == 422, answer.json
    assert [error["pointer"] for error in answer.json["errors"]] == [field]


def test_what_has_no_model_is_not_found_and_what_is_known_of_nothing_is_not_ready(fed: Served):
    assert fed.client.get("/v1/forecasts/air", headers=fed.as_("planner")).status_code == 404
    assert fed.client.get("/v1/forecasts/nowhere", headers=fed.as_("planner")).status_code == 404
    fed.now.ahead(days=20)
    late = fed.client.get("/v1/forecasts/chat", headers=fed.as_("planner"))
    assert late.status_code == 503
    assert late.json["detail"].startswith("series chat: nothing is known of the last 15 days")
