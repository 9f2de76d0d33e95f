"""What is old is deleted, and nothing that anybody looks back on: over stores of many seeds, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from aged import DAY, HOUR, MINUTE, Past
from served import SITES, START
from sqlalchemy import func, select, text

from service.alarms import Alarms
from service.engine import EngineFailedError
from service.known_state import MAX_BACK
from service.published import Published
from service.retention import FILES, cutoff, prune, would_prune
from service.store import Store, retention
from service.store.records import TERMINAL
from service.store.retention import NEWEST_PUBLICATIONS, Amount
from service.store.schema import metadata

NOW = START + 40 * MINUTE


@pytest.fixture
def few(monkeypatch) -> int:
    """Keep few publications whatever their age, so that a small store has some that are old."""
    monkeypatch.setattr(retention, "NEWEST_PUBLICATIONS", 12)
    return 12


def rows(store: Store) -> dict[str, int]:
    with store._database.read() as connection:
        return {name: connection.execute(select(func.count()).select_from(t)).scalar_one() for name, t in metadata.tables.items()}


def answers(store: Store) -> Iterator[Any]:
    """What planning, sites and people learn from a store of what is in force and of what goes on from it."""
    published = Published(store, "fleet", Alarms(store, lambda: NOW))
    yield published.is_served(NOW), published.has_hourly(START), published.documents_in_force()
    with suppress(EngineFailedError):
        yield published.last_optimised(NOW - 2 * DAY)
    yield published.last_good(NOW - 2 * DAY, SITES)
    head = store.plans.newest()
    yield head, store.plans.problem(head.problem_digest), store.plans.newest(purpose="scenario")
    yield store.publications.newest(), store.publications.page(limit=12), store.jobs.counts().get(("plan", "queued"))
    for site in SITES:
        yield store.publications.told(site), store.publications.newest_version(site)
        answered = store.acknowledgements.newest(site)
        yield answered, store.publications.first_after(site, answered.version if answered else 0)
        yield store.telemetry.newest(site), store.telemetry.newest(site, usable=False)
        yield store.telemetry.between(site, NOW - 30 * DAY, NOW + DAY)
    for name in ("HUB", "AIR"):
        yield store.series.values(name, START - 2_000 * DAY, START + 100 * DAY), store.series.newest_known_at(name)
        yield store.series.span(name), store.series.last_before(name, NOW)
        known_by = NOW - 29 * DAY
        yield store.series.values(name, known_by - 31 * DAY, known_by + DAY, known_by)


def sound(store: Store) -> None:
    """Nothing refers to what is gone, and every record left can be read."""
    with store._database.read() as connection:
        if store._database.sqlite:
            assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        lonely = "SELECT count(*) FROM problem WHERE digest NOT IN (SELECT problem_digest FROM plan)"
        assert connection.execute(text(lonely)).scalar_one() == 0
        mute = "SELECT count(*) FROM acknowledgement WHERE version NOT IN (SELECT version FROM publication)"
        assert connection.execute(text(mute)).scalar_one() == 0
    assert store.audit_log.broken_at() is None


@pytest.mark.parametrize("seed", range(6))
def test_whoever_looks_back_finds_what_was_there(store: Store, few, tmp_path, seed):
    past = Past(store, Random(seed)).fill(NOW - 120 * DAY, NOW, every=DAY * (1 + seed % 3))
    kept = {job: plans for job, plans in past.named.items() if store.jobs.get(job).finished_at >= NOW - 40 * DAY}
    before, found = rows(store), list(answers(store))
    bodies = {plan: store.plans.body(plan) for plans in kept.values() for plan in plans}
    foreseen = would_prune(store, NOW - 40 * DAY, str(tmp_path))
    assert rows(store) == before
    gone = prune(store, NOW - 40 * DAY, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    assert gone.complete
    assert gone.tables == foreseen.tables
    assert list(answers(store)) == found
    assert {plan: store.plans.body(plan) for plan in bodies} == bodies
    after = rows(store)
    assert {t: before[t] - n for t, n in after.items() if before[t] > n} == {t: amount.rows for t, amount in gone.tables.items()}
    assert after["audit_log"] == before["audit_log"] + 2
    assert after["plan"] < before["plan"] * 0.6
    sound(store)
    again = prune(store, NOW - 40 * DAY, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    assert (again.tables, rows(store)) == ({}, after)


@pytest.mark.parametrize("seed", [3, 4])
def test_what_is_left_of_a_run_that_was_cut_off_is_sound_and_the_next_one_ends_it(store: Store, few, tmp_path, seed):
    Past(store, Random(seed)).fill(NOW - 100 * DAY, NOW)
    whole = would_prune(store, NOW - 40 * DAY, str(tmp_path))
    found, rng, sums = list(answers(store)), Random(seed), Amount()
    for _ in range(50):
        gone = prune(store, NOW - 40 * DAY, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: rng.random() < 0.03)
        sums = sums.plus(gone.total)
        sound(store)
        assert list(answers(store)) == found
        if gone.complete:
            break
    assert sums == whole.total
    lines = [line for line in store.audit_log.page(limit=500).items if line.action.startswith("history.")]
    assert [line.action for line in lines] == ["history.pruned", "history.prune"] * (len(lines) // 2)
    assert sum(line.detail["bytes"] for line in lines if line.action == "history.pruned") == whole.total.bytes
    assert gone.complete


def test_the_newest_publications_are_kept_whatever_their_age(store: Store, tmp_path):
    assert NEWEST_PUBLICATIONS > 2 * MAX_BACK
    past = Past(store, Random(1)).fill(NOW - 2_000 * DAY, NOW - 1_400 * DAY)
    newest = store.publications.newest().version
    prune(store, NOW, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    kept = {p.version for p in store.publications.page(limit=500).items}
    owed = {store.publications.first_after(site, store.acknowledgements.newest(site).version) for site in SITES} - {None}
    assert kept >= set(range(newest - NEWEST_PUBLICATIONS, newest + 1)) - {newest - NEWEST_PUBLICATIONS}
    assert all(version in kept or store.publications.setpoints(version) for version, _ in owed)
    assert past.store.publications.told("pecos", 1) is None


def test_an_old_store_keeps_its_newest_plan_though_nobody_was_told_of_it(store: Store, few, tmp_path):
    past = Past(store, Random(1)).fill(NOW - 130 * DAY, NOW - 90 * DAY)
    rule = past.plan(NOW - 90 * DAY, problem=past.problem)
    prune(store, NOW - 40 * DAY, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    assert store.plans.newest().plan_id == rule.plan_id
    assert store.plans.problem(rule.problem_digest) == past.problem


def test_a_site_that_left_keeps_its_last_document(store: Store, few, tmp_path):
    past = Past(store, Random(0)).fill(NOW - 130 * DAY, NOW - 90 * DAY, asks=0)
    for _ in range(3):  # which it did not answer
        past.publish(NOW - 90 * DAY)
    last = store.publications.told("kiruna")
    past.fill(NOW - 90 * DAY, NOW, gone="kiruna")
    prune(store, NOW - 40 * DAY, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    assert store.publications.told("kiruna") == last
    assert store.publications.setpoint("kiruna", last[0].version - 1) is None


def test_a_kept_answer_keeps_the_plan_of_its_base_that_an_older_what_if_made(store: Store, few, tmp_path):
    before = NOW - 40 * DAY
    past = Past(store, Random(8)).fill(NOW - 60 * DAY, before - 2 * HOUR, asks=0)
    for name, asked, ended in (("first", 90 * MINUTE, 80 * MINUTE), ("second", 60 * MINUTE, -60 * MINUTE)):
        store.jobs.add(name, "futures", {}, by="test", at=before - asked)
        if name == "first":
            base = past.plan(before - asked, problem=past.problem, purpose="scenario")
        store.jobs.claim("worker", at=before - asked, lease_s=60, kinds=("futures",))
        store.jobs.finish(name, "worker", "done", at=before - ended, result={"base_plan_id": base.plan_id})
    past.fill(before, NOW)
    prune(store, before, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    assert (store.jobs.get("first"), store.jobs.get("second").result) == (None, {"base_plan_id": base.plan_id})
    assert store.plans.get(base.plan_id) == base


def test_a_job_that_waits_or_runs_keeps_what_was_planned_since_it_was_asked_for(store: Store, few, tmp_path):
    past = Past(store, Random(2)).fill(NOW - 120 * DAY, NOW - 60 * DAY)
    store.jobs.add("slow", "futures", {}, by="test", at=NOW - 60 * DAY)
    past.fill(NOW - 60 * DAY, NOW)
    whole = rows(store)["plan"]
    made = [plan for plan in store.plans.page(limit=500).items if plan.created_at >= NOW - 60 * DAY]
    prune(store, NOW - 31 * DAY, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    left = store.plans.page(limit=500).items
    assert list(left[: len(made)]) == made
    assert rows(store)["plan"] < 0.9 * whole
    assert store.jobs.get("slow").state == "queued"
    assert all(job.finished_at >= NOW - 31 * DAY for job in store.jobs.page(limit=500).items if job.state in TERMINAL)


def test_of_old_steps_the_last_telling_stays_and_of_new_ones_all(store: Store, tmp_path):
    Past(store, Random(5)).fill(NOW - 200 * DAY, NOW, every=HOUR * 12)
    before = NOW - 60 * DAY
    old, new = before - 40 * DAY, before - 20 * DAY
    last = store.series.values("HUB", NOW - 300 * DAY, NOW)
    early = store.series.values("HUB", new, NOW, known_by=new + DAY)
    prune(store, before, str(tmp_path), by="test", now=lambda: NOW, stop=lambda _: False)
    assert store.series.values("HUB", NOW - 300 * DAY, NOW) == last
    assert store.series.values("HUB", new, NOW, known_by=new + DAY) == early
    told = {point.start: point.known_at for point in last}
    assert all(told[p.start] == p.known_at for p in store.series.values("HUB", NOW - 300 * DAY, old, known_by=old - DAY))


def test_files_of_old_backtests_go_with_their_jobs(store: Store, few, tmp_path):
    for name, ended in (("old", NOW - 50 * DAY), ("new", NOW - 5 * DAY), ("running", None)):
        store.jobs.add(name, "backtest", {}, by="test", at=NOW - 51 * DAY)
        store.jobs.claim("worker", at=NOW, lease_s=60, kinds=("backtest",))
        if ended:
            store.jobs.finish(name, "worker", "done", at=ended, result={})
        (tmp_path / "backtests" / name / "work").mkdir(parents=True)
        for file in ("report.html", "work/rows.csv"):
            (tmp_path / "backtests" / name / file).write_text("x" * 100)
    assert would_prune(store, NOW - 40 * DAY, str(tmp_path)).tables[FILES] == Amount(2, 200)
    assert (tmp_path / "backtests" / "old" / "report.html").is_file()
    assert prune(store, NOW - 40 * DAY, str(tmp_path), by="test", now=lambda: NOW).tables[FILES] == Amount(2, 200)
    assert sorted(path.name for path in (tmp_path / "backtests").iterdir()) == ["new", "running"]
    assert store.jobs.get("old") is None
    assert store.jobs.get("new") is not None


def test_the_cutoff_moves_at_midnight():
    assert cutoff(NOW, timedelta(days=30)) == cutoff(NOW.replace(hour=23, minute=59), timedelta(days=30))
    assert cutoff(NOW, timedelta(days=30)) == START.replace(hour=0) - timedelta(days=30)
