"""What is deleted is missed by nobody: plans, documents, bills' peaks and service levels go on as if all were kept."""

import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from seams.fleets import post_series, small_fleet
from seams.simulation import HOUR, MIN, Clock, simulation

from models.demand_charge import DemandCharge
from models.fleet import Fleet
from service.config import Settings
from service.explaining import Explainer
from service.retention import Pruned, prune
from service.store import open_store, retention
from service.store.records import StoredTelemetry, TelemetryPoint, WorkDone
from service.wiring import assemble

EVE = datetime(2026, 11, 30, 18, tzinfo=UTC)
"""Twelve hours before a month ends in Chicago."""
SETTINGS = {"horizon_h": 8, "asked_gap": 0.01, "budget_s": 20.0}
HOURS = 14


def charged() -> Fleet:
    """Three sites, whose demand charges remember the peak of the month before."""
    fleet = small_fleet(3)
    charge = DemandCharge(usd_per_kw_month=(9.0,) * 12, ratchet_share=0.9)
    return fleet.model_copy(update={"sites": tuple(s.model_copy(update={"demand_charge": charge}) for s in fleet.sites)})


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> tuple[Path, datetime]:
    """A store in which a fleet was planned for half a day and reported, and the instant at which that ended."""
    folder = tmp_path_factory.mktemp("past")
    made = simulation(folder, charged(), EVE + 10 * MIN, ambient=lambda *_: 15.0, **SETTINGS)
    post_series(made.store, EVE - HOUR, 60)
    made.turn()
    made.run(HOURS)
    made.close()
    return folder, made.clock.at


def go_on(folder: Path, now: datetime) -> list[tuple]:
    """Plan for three more hours, and return problems, decisions and what sites are told."""
    clock, told = Clock(now), []
    service = assemble(Settings(data_dir=str(folder), **SETTINGS), now=clock, load_reference=False)
    assert service.leadership.lead()
    for hour in range(3):
        clock.at = now + hour * HOUR + 20 * MIN
        for site in service.planner.fleet().fleet.sites:
            done = WorkDone(since=clock.at - 30 * MIN, work={"chat": 900_000 * (1 + hour)})
            point = TelemetryPoint(at=clock.at, draw_w=1_500_000 + 10_000 * hour, done=done)
            service.store.telemetry.add(site.name, [StoredTelemetry(point=point, received_at=clock.at)])
        clock.at = now + hour * HOUR + 40 * MIN
        assert service.desk.turn()
        published = service.store.publications.newest()
        plan = service.store.plans.get(published.plan_id)
        problem = service.store.plans.problem(plan.problem_digest)
        documents = service.store.publications.setpoints(published.version)
        steps = {site: (d.basis, d.valid_from, d.valid_until, d.steps, d.failsafe) for site, d in documents.items()}
        told.append((published.version, published.occasion, problem, plan.decisions_digest, plan.profit_usd, steps))
    service.stop()
    return told


def test_the_next_plans_are_what_they_were(past, tmp_path, monkeypatch):
    folder, now = past
    monkeypatch.setattr(retention, "NEWEST_PUBLICATIONS", 3)
    found = {}
    for name in ("whole", "pruned"):
        shutil.copytree(folder, tmp_path / name)
        store = open_store(f"sqlite:///{tmp_path / name / 'store.db'}")
        newest = store.plans.newest()
        if name == "pruned":
            many = len(store.publications.page().items), len(store.telemetry.between("pecos", EVE, now))
            gone = prune(store, now - 4 * HOUR, str(tmp_path), by="test", now=lambda: now, stop=lambda _: False)
            left = len(store.publications.page().items), len(store.telemetry.between("pecos", EVE, now))
            assert gone.complete
            assert left[0] <= 6 < many[0]
            assert left[1] < many[1] / 3
        why = Explainer(store, 1_024).explain(newest.plan_id, "pecos", 2)
        store.close()
        found[name] = go_on(tmp_path / name, now), why.model_dump()
    assert found["pruned"] == found["whole"]
    (_, _, problem, *_), *_ = found["whole"][0]
    assert all(state.months["2026-11"].peak_w > 1_000_000 for state in problem.state.sites.values()), "no plan of it is left"
    assert problem.state.service["chat"]


def test_old_history_goes_by_itself_once_a_day_and_only_where_somebody_leads(past, tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "NEWEST_PUBLICATIONS", 3)
    folder, now = past
    shutil.copytree(folder, tmp_path / "data")
    clock = Clock(now + timedelta(days=40))
    settings = Settings(data_dir=str(tmp_path / "data"), keep_history="P30D", **SETTINGS)
    service = assemble(settings, now=clock, load_reference=False)
    assert service.pruner.turn() is None
    assert service.leadership.lead()
    gone = service.pruner.turn()
    assert gone.complete
    assert {"publication", "setpoint", "plan", "problem", "telemetry", "acknowledgement"} <= set(gone.tables)
    clock.at += HOUR
    assert service.pruner.turn() is None, "the day's share is gone"
    clock.at += 24 * HOUR
    assert service.pruner.turn().tables == {}
    said = [(line.who, line.action) for line in service.store.audit_log.page(limit=2).items]
    assert said == [("retention", "history.pruned"), ("retention", "history.prune")]
    service.stop()


def test_forever_keeps_it_all(past, tmp_path):
    folder, now = past
    shutil.copytree(folder, tmp_path / "data")
    settings = Settings.from_environment({"WATTSPLIT_KEEP_HISTORY": "forever", "WATTSPLIT_DATA_DIR": str(tmp_path / "data")})
    service = assemble(settings, now=Clock(now + timedelta(days=4_000)), load_reference=False)
    assert service.leadership.lead()
    assert service.pruner.turn() is None
    service.stop()


def test_a_service_that_stops_does_not_wait_for_all_of_it(past, tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "NEWEST_PUBLICATIONS", 3)
    folder, now = past
    shutil.copytree(folder, tmp_path / "data")
    settings = Settings(data_dir=str(tmp_path / "data"), keep_history="P30D", **SETTINGS)
    service = assemble(settings, now=Clock(now + timedelta(days=40)), load_reference=False)
    assert service.leadership.lead()
    monkeypatch.setattr("service.retention.REST_S", 60.0)
    service.pruner.start()
    found: list[Pruned] = []
    worker = threading.Thread(target=lambda: found.append(service.pruner.turn()))
    worker.start()
    while not any(line.action == "history.prune" for line in service.store.audit_log.page(limit=1).items):
        time.sleep(0.01)
    began = time.monotonic()
    service.pruner.stop()
    worker.join(5)
    assert time.monotonic() - began < 5
    assert [gone.complete for gone in found] == [False]
    assert service.store.audit_log.page(limit=1).items[0].detail["complete"] is False
    service.stop()
