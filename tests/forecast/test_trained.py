"""Models of stored series: trained in a child, kept with what they are made of, and taken where they did better."""

import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from seams.fleets import NOON, post_series, small_fleet

from models.time_grid import hourly
from scenarios.forecast.stored import Made, as_json, from_json
from scenarios.forecast.training import forecaster_of, kept, score
from scenarios.timed import Timed
from service.config import Settings
from service.forecasting import Forecasts, Trainer, timed
from service.inputs import gather
from service.store import open_store
from service.store.series_records import SeriesDeclaration, SeriesPoint
from service.wiring import assemble

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS = 42
TOLD = 3
"""Hours from noon that are told of demand; noon is that of a Sunday."""
GRID = hourly(NOON, 36)
UNITS = {"demand": "tokens/h", "hashprice": "USD/PH/day", "ambient": "degC", "price": "USD/MWh"}


def demand(at: datetime) -> float:
    """By day more than by night, on weekdays three times as much as on Saturdays and Sundays."""
    return 100e6 * (1.5 - np.cos(2 * np.pi * at.hour / 24)) * (1 if at.weekday() > 4 else 3)


def tell(store, name, kind, subject, value, *, days=DAYS, told=TOLD, late=HOUR, seed=3):
    """Tell a series by the hour, each value as its hour ends."""
    noise = np.random.default_rng(seed)
    declared = SeriesDeclaration(
        name=name, kind=kind, subject=subject, unit=UNITS[kind], zone="UTC", resolution_s=3600, source="a test", curve_type="A01"
    )
    store.series.declare(declared, at=NOON - DAYS * DAY)
    starts = [NOON - days * DAY + HOUR * n for n in range(days * 24 + told)]
    points = [
        SeriesPoint(start=at, value=value(at) * (1 + 0.02 * noise.standard_normal()), known_at=min(at + late, NOON))
        for at in starts
    ]
    store.series.add(name, points)
    return declared


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.close()


def trained(store, at=NOON):
    return Trainer(store, lambda: at).turn()


def test_a_model_is_trained_in_a_child_and_kept_with_what_it_is_made_of(store):
    tell(store, "chat", "demand", "chat", demand)
    (model,) = trained(store)
    assert (model.series, model.version, model.model) == ("chat", 1, "demand-shape 1")
    assert (model.data.points, model.data.last) == (DAYS * 24 + TOLD, NOON + (TOLD - 1) * HOUR)
    assert model.trained_until == NOON
    assert model.is_used
    assert model.score.ratio < 0.9
    assert 0.6 < model.score.coverage_share <= 1
    assert 0 < model.seconds < 30
    assert store.forecasts.newest() == [model]
    body = store.forecasts.body("chat", 1)
    assert as_json(from_json(body)) == body


def test_training_is_due_once_a_day_and_versions_count_up(store):
    tell(store, "chat", "demand", "chat", demand)
    now = [NOON]
    trainer = Trainer(store, lambda: now[0])
    assert [model.version for model in trainer.turn()] == [1]
    now[0] = NOON + 23 * HOUR
    assert trainer.due() == [] == trainer.turn()
    now[0] = NOON + 25 * HOUR
    assert [model.version for model in trainer.turn()] == [2]
    assert Trainer(store, lambda: now[0]).due() == []  # what is owed is read from the store


def test_where_a_series_ends_its_model_goes_on_and_the_plan_says_which(store):
    """The naive takes a Monday for the Sunday that it has seen; the model knows weekdays."""
    post_series(store, NOON, 72)
    tell(store, "chat", "demand", "chat", demand)
    trained(store)
    known = gather(store, small_fleet(2), GRID, now=NOON, forecasts=Forecasts(store))
    naive = gather(store, small_fleet(2), GRID, now=NOON)
    truth = np.array([demand(at) for at in GRID.starts])
    for found in (known, naive):
        assert found.demand_work_per_h["chat"][:TOLD] == naive.demand_work_per_h["chat"][:TOLD]
        assert "forecast" in found.labels
    off, naive_off = (np.abs(np.array(f.demand_work_per_h["chat"]) - truth)[12:].mean() for f in (known, naive))
    assert off < 0.35 * naive_off
    (note,) = [n for n in known.notes if n.startswith("demand_forecast") and "series chat " in n]
    assert "33 step(s) after it take the mean of demand-shape 1 (version 1, trained 2026-11-22, whose error lately was 0." in note
    (note,) = [n for n in naive.notes if n.startswith("demand_forecast") and "series chat " in n]
    assert "the value of the same hour in UTC of the last 24 h known" in note


def test_a_published_plan_stands_on_the_forecast_and_names_it(store, tmp_path):
    post_series(store, NOON, 72)
    tell(store, "chat", "demand", "chat", demand)
    store.fleets.add(small_fleet(2), by="a test", at=NOON)
    trained(store)
    service = assemble(Settings(data_dir=str(tmp_path), horizon_h=36), now=lambda: NOON, store=store, load_reference=False)
    assert service.leadership.lead()
    published = service.planner.publish_rule("start")
    plan = store.plans.get(published.plan_id)
    assert [reason for reason in plan.reasons if "series chat " in reason and "demand-shape 1 (version 1" in reason]
    known = gather(store, small_fleet(2), GRID, now=NOON, forecasts=Forecasts(store)).demand_work_per_h["chat"]
    assert store.plans.problem(plan.problem_digest).demand_work_per_h["chat"] == known


def test_a_model_that_is_no_better_is_kept_and_not_taken(store):
    declared = tell(store, "paid", "hashprice", None, lambda at: 46.0)
    (model,) = trained(store)
    assert model.model == "walk 1"
    assert not model.is_used
    assert Forecasts(store).continued(declared, NOON, NOON + 2 * DAY) is None


def test_what_was_told_later_changes_no_forecast(store):
    declared = tell(store, "chat", "demand", "chat", demand)
    trained(store)
    before = Forecasts(store).continued(declared, NOON, GRID.end).forecast
    store.series.add("chat", [SeriesPoint(start=NOON - HOUR * n, value=9e9, known_at=NOON + HOUR) for n in range(1, 30)])
    assert Forecasts(store).continued(declared, NOON, GRID.end).forecast == before
    assert Forecasts(store).continued(declared, NOON + HOUR, GRID.end).forecast != before


def test_too_short_a_history_is_no_model_and_is_not_tried_all_the_time(store):
    tell(store, "chat", "demand", "chat", demand, days=4, told=10)
    trainer = Trainer(store, lambda: NOON)
    assert trainer.turn() == []
    assert trainer.due() == []
    assert store.forecasts.newest() == []


@pytest.mark.parametrize(
    "program",
    ["print('nonsense')", "print('[1]')", "import os; os.kill(os.getpid(), 9)", "print('{\"name\": \"chat\"}')",
     "print('{\"name\": \"chat\", \"body\": {\"model\": \"os.system\"}, \"score\": null, \"model\": \"x\", \"seconds\": 1}')"],
)  # fmt: skip
def test_a_child_that_dies_or_talks_nonsense_leaves_nothing(store, program):
    tell(store, "chat", "demand", "chat", demand)
    now = [NOON]
    trainer = Trainer(store, lambda: now[0], command=(sys.executable, "-I", "-c", program))
    assert trainer.turn() == []
    assert store.forecasts.newest() == []
    (alarm,) = store.audit_log.page().items
    assert (alarm.action, alarm.subject) == ("alarm", "training_failed")
    assert "the training of chat ended without a model" in alarm.detail["words"]
    assert trainer.due() == []
    now[0] = NOON + HOUR
    assert [declared.name for declared in trainer.due()] == ["chat"]


def test_a_model_of_another_release_is_no_model(store):
    declared = tell(store, "chat", "demand", "chat", demand)
    (model,) = trained(store)
    store.forecasts.add(model, {"model": "FittedDemand", "level": 3})
    assert Forecasts(store).continued(declared, NOON, GRID.end) is None


def test_a_history_that_was_read_in_at_once_is_scored_as_if_it_had_been_told_in_time(store):
    declared = tell(store, "chat", "demand", "chat", demand, late=DAYS * DAY)
    past = timed(store, declared, NOON - 400 * DAY, NOON, NOON)
    found = score(forecaster_of("demand"), past, NOON)
    assert found.origins > 5
    assert found.mae < found.naive_mae


@pytest.mark.parametrize("kind", ["demand", "ambient", "hashprice"])
def test_a_stored_model_forecasts_to_the_last_digit_what_it_did(kind):
    starts = int(NOON.timestamp()) - 3600 * np.arange(90 * 24, 0, -1)
    values = 20 + 5 * np.sin(starts / 86_400) + np.random.default_rng(1).normal(0, 1, len(starts))
    past = Timed("a", "u", "UTC", 3600, starts, starts + 3600, values)
    fitted = forecaster_of(kind).fit(past, NOON)
    again = from_json(as_json(fitted))
    assert again.forecast(past, NOON, hourly(NOON, 24)) == fitted.forecast(past, NOON, hourly(NOON, 24))


def test_prices_are_kept_as_the_forecast_that_was_made_of_them():
    """Their model learns anew for every hour of the day, so what is kept is cut to the hours that are asked for."""
    starts = int(NOON.timestamp()) - 3600 * np.arange(120 * 24, 0, -1)
    values = 40 + 15 * np.sin(starts * 2 * np.pi / 86_400) + np.random.default_rng(1).normal(0, 3, len(starts))
    past = Timed("hub", "USD/MWh", "UTC", 3600, starts, starts + 3600, values)
    made = from_json(kept(forecaster_of("price"), past, NOON))
    assert isinstance(made, Made)
    whole, later = made.forecast(past, NOON, hourly(NOON, 72)), made.forecast(past, NOON, hourly(NOON + 5 * HOUR, 24))
    assert later.mean == whole.mean[5:29]
    assert later.at_level(900_000) == whole.at_level(900_000)[5:29]
    assert (
        np.abs(
            np.array(whole.mean) - 40 - 15 * np.sin(np.array([s.timestamp() for s in whole.grid.starts]) * 2 * np.pi / 86_400)
        ).mean()
        < 3
    )
    with pytest.raises(ValueError, match="hub: expected whole steps from 2026-11-22T12:00:00Z"):
        made.forecast(past, NOON, hourly(NOON, 73))


def test_names_of_other_things_are_refused():
    with pytest.raises(ValueError, match="model: expected one of"):
        from_json({"model": "Popen", "args": "true"})
    with pytest.raises(TypeError, match="expected part of a fitted model"):
        as_json(datetime.now(UTC).date())
