"""Training never stands in the way: a child that hangs is killed with the service, a follower trains nothing, plans go on."""

import sqlite3
import sys
import threading
import time
from datetime import timedelta

import pytest
from faults.test_planning_faults import HOSTILE, PREAMBLE, waiting_for
from seams.fleets import NOON, post_series
from solver_processes import solver_children
from structlog.testing import capture_logs

from service.forecasting import Trainer
from service.store import open_store

SLEEPS = (sys.executable, "-c", PREAMBLE + HOSTILE["sleeps for ever"])


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    post_series(opened, NOON - timedelta(days=20), 20 * 24)
    yield opened
    opened.close()


def test_a_child_that_hangs_ends_with_the_service(store):
    trainer = Trainer(store, lambda: NOON, command=SLEEPS)
    trainer.start()
    waiting_for(solver_children, 20)
    began = time.monotonic()
    trainer.stop()
    assert time.monotonic() - began < 5
    assert solver_children() == []
    assert store.forecasts.newest() == []


def test_a_child_that_hangs_is_killed_at_its_deadline(store, monkeypatch):
    monkeypatch.setattr("service.forecasting.TRAIN_S", 1.0)
    began = time.monotonic()
    assert Trainer(store, lambda: NOON, command=SLEEPS).turn() == []
    assert time.monotonic() - began < 10
    assert solver_children() == []


def test_models_that_could_not_be_kept_are_trained_again_in_an_hour(store, tmp_path, monkeypatch):
    """Another process writes when the first of them comes: that is loud, and no series is without a model for a day."""
    monkeypatch.setattr("service.store.database.BUSY_TIMEOUT_MS", 200)
    now = [NOON]
    trainer = Trainer(store, lambda: now[0])
    due = {declared.name for declared in trainer.due()}
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs() as logs:
        assert trainer.turn() == []
    other.execute("ROLLBACK")
    other.close()
    assert solver_children() == []
    (said,) = [line["words"] for line in logs if line["event"] == "training_failed"]
    assert "another process holds store.db" in said
    assert trainer.due() == []
    now[0] += timedelta(hours=1)
    again = {declared.name for declared in trainer.due()}
    assert again
    assert again <= due
    kept = {model.series for model in trainer.turn()}  # of too short a history none is made
    assert kept
    assert kept <= again


def test_of_more_points_than_are_read_the_newest_are_learned_from(store, monkeypatch):
    """Five-minute prices of a year are more; a model of the oldest of them would be of no use."""
    monkeypatch.setattr("service.forecasting.MOST_POINTS", 300)
    monkeypatch.setattr("service.forecasting.FARTHEST", timedelta(days=1))
    made = Trainer(store, lambda: NOON).turn()
    assert made
    for model in made:
        assert model.data.last >= NOON - timedelta(hours=1), model.series
        assert model.data.points <= 300


def test_who_does_not_lead_trains_nothing(store):
    looked = threading.Event()

    def leads() -> bool:
        looked.set()
        return False

    trainer = Trainer(store, lambda: NOON, leads, command=SLEEPS)
    trainer.start()
    assert looked.wait(10)
    trainer.stop()
    assert store.forecasts.newest() == []
    assert len(trainer.due()) > 3  # nothing was tried either
