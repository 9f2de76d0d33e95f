"""A clock that is set back or ahead: sites are told what holds by the clock as it is now, and nothing falls silent."""

import time
from datetime import datetime, timedelta, tzinfo

import pytest
from faults.test_planning_faults import CALM, planned_with
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import HOUR, MIN, simulation

from service import scheduler
from service.optimiser import real_engine


@pytest.mark.parametrize("back_h", [1, 2, 3])
def test_a_clock_that_is_set_back_is_planned_for_at_once(tmp_path, back_h):
    made = simulation(tmp_path, small_fleet(2), NOON + 5 * MIN, ambient=CALM, horizon_h=6, budget_s=2.0, memory_mib=512)
    post_series(made.store, NOON - 10 * HOUR, 80)
    desk, client = made.service.desk, made.clients["pecos"]
    desk.turn()
    made.clock.at += 38 * MIN
    desk.turn()
    client.step()
    assert not client.failing_safe
    before = made.store.publications.newest().version

    made.clock.at -= back_h * HOUR
    assert not desk.freshness(made.clock()).fresh
    assert desk.turn()
    told = made.store.publications.setpoint("pecos")
    assert told.version > before
    assert told.valid_from <= made.clock() < told.stale_after
    client.step()
    assert (client.document, client.failing_safe) == (told, False)
    made.clock.at += 6 * MIN
    desk.turn()
    assert desk.freshness(made.clock()).fresh, "the rule plan is followed by an optimised one"
    made.close()


def test_who_follows_takes_the_lead_though_the_clock_was_set_back(tmp_path, monkeypatch):
    class SetBack(datetime):
        by = timedelta(0)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) - cls.by

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", SetBack)
    monkeypatch.setattr(scheduler, "RENEW_EVERY_S", 0.5)
    made = planned_with(tmp_path, real_engine())
    other = simulation(tmp_path, small_fleet(2), made.clock.at, ambient=CALM, leads=False, horizon_h=6)
    other.service.desk.start()
    SetBack.by = 2 * HOUR
    time.sleep(1.2)
    assert other.service.leadership.epoch == 0
    made.service.leadership.resign()
    deadline = time.monotonic() + 15
    while other.store.publications.newest() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    other.close()
    made.close()
