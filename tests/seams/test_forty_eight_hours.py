"""Two days of the service with sites that do not do what they are told: every rule is kept across the joins."""

import time
from datetime import UTC, datetime, timedelta
from functools import cache

import psutil
import pytest
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import HOUR, MIN, Simulation, simulation

from models.base import iso
from models.time_grid import hourly
from scenarios.feed import replay
from scenarios.reference import reference_fleet
from service.slots import floor_hour

START = NOON + 10 * MIN


def air(_name: str, at: datetime) -> float:
    """The ambient series of the small fleet, as it comes true."""
    hours = int((at - NOON).total_seconds() // 3600)
    return 12.0 + 10 * ((hours % 24) / 24)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory) -> Simulation:
    """48 hours on five sites; nobody plans between 02:00 and 07:00 of the second day, one site is silent for three hours."""
    made = simulation(tmp_path_factory.mktemp("two-days"), small_fleet(), START, ambient=air)
    post_series(made.store, NOON, 80)
    outage = (NOON + timedelta(hours=14), NOON + timedelta(hours=19, minutes=10))
    made.asleep = lambda now: outage[0] <= now < outage[1]
    made.turn()
    made.run(8)
    made.links["abilene"].down = True
    made.run(3)
    made.links["abilene"].down = False
    assert made.clock.at.minute == 10
    made.run((outage[1] - made.clock.at) / HOUR)
    made.turn()  # whoever wakes up looks at what is owed
    made.run((NOON + timedelta(hours=48, minutes=10) - made.clock.at) / HOUR)
    yield made
    made.close()


def publications(made: Simulation):
    return list(reversed(made.store.publications.page(limit=500).items))


def test_each_slot_has_one_hourly_publication_and_a_missed_stretch_one_plan(two_days):
    hourly = [p for p in publications(two_days) if p.occasion == "hourly"]
    slots = [p.slot for p in hourly]
    assert len(slots) == len(set(slots))
    missed = [NOON + timedelta(hours=h) for h in (15, 16, 17, 18)]
    expected = [NOON + timedelta(hours=h) for h in range(49)]
    assert slots == [s for s in expected if s not in missed]
    during = [
        p for p in publications(two_days) if NOON + timedelta(hours=14) <= p.published_at < NOON + timedelta(hours=19, minutes=30)
    ]
    assert [p.occasion for p in during] == ["start", "hourly"], "one rule plan at once, one plan for the present slot"
    noted = [e.subject for e in two_days.store.audit_log.page(limit=500).items if e.action == "slot.missed"]
    assert sorted(noted) == [f"fleet {s:%Y-%m-%dT%H:%MZ}" for s in missed]


def test_no_command_breaks_a_minimum_run_or_rest_on_what_was_measured(two_days):
    assert not two_days.broken, "\n".join(two_days.broken)
    counted = [(len(book.running) + len(book.resting), book.total) for book in two_days.books.values()]
    assert any(known for known, _ in counted), "somebody kept the books"
    assert all(known <= total for known, total in counted)


def test_no_block_was_really_stopped_within_its_minimum_run(two_days):
    assert [words for plant in two_days.plants.values() for words in plant.stopped_early] == []


def test_sites_did_deviate_and_never_drew_more_than_their_limit(two_days):
    assert sum(len(plant.deviations) for plant in two_days.plants.values()) > 20
    assert two_days.over_limit == []


def test_every_document_was_taken_over_by_its_site(two_days):
    assert [words for client in two_days.clients.values() for words in client.rejected] == []
    for site in two_days.clients:
        applied = {a.version for a in two_days.store.acknowledgements.recent(site, limit=500) if a.state == "applied"}
        assert len(applied) > 35


def test_sites_stay_on_an_audited_plan_while_nobody_plans(two_days):
    """Nobody planned for five hours, yet the fallback of the serving process kept them on an audited plan."""
    assert not any(client.failing_safe for client in two_days.clients.values())


def test_every_publication_is_whole_and_its_versions_rise(two_days):
    versions = [p.version for p in publications(two_days)]
    assert versions == sorted(set(versions))
    for publication in publications(two_days):
        documents = two_days.store.publications.setpoints(publication.version)
        assert set(documents) == set(two_days.clients)
        assert {d.plan_id for d in documents.values()} == {publication.plan_id}


def test_states_say_where_they_come_from(two_days):
    sources = set()
    for publication in publications(two_days):
        plan = two_days.store.plans.get(publication.plan_id)
        problem = two_days.store.plans.problem(plan.problem_digest)
        sources |= {state.source for state in problem.state.sites.values()}
        assert problem.state.at == problem.grid.start, iso(problem.grid.start)
    assert {"measured", "acknowledged"} <= sources


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 8, 4, tzinfo=UTC), datetime(2026, 11, 1, 3, tzinfo=UTC)], ids=["spring-forward", "fall-back"]
)
def test_days_of_23_and_25_hours_are_planned_once_an_hour(tmp_path, day):
    made = simulation(tmp_path, small_fleet(1), day + 10 * MIN, ambient=lambda _n, _at: 15.0, horizon_h=6)
    post_series(made.store, day, 30)
    made.turn()
    made.run(8)
    slots = [p.slot for p in publications(made) if p.occasion == "hourly"]
    made.close()
    assert slots == [day + timedelta(hours=h) for h in range(9)]
    assert made.broken == []


@cache
def weather(hour: datetime) -> dict[str, float]:
    """The replayed ambient of an hour, by series."""
    return {name: values[0] for name, values in replay(hourly(hour, 1)).ambient_c.items()}


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_reference_fleet_for_two_days(tmp_path, capsys):
    """45 sites, planned every hour for 48 h ahead, on telemetry that deviates; five hours in which nobody plans."""
    fleet = reference_fleet()
    made = simulation(
        tmp_path,
        fleet,
        START,
        ambient=lambda name, at: weather(floor_hour(at))[name],
        horizon_h=48,
        asked_gap=0.005,
        budget_s=120.0,
    )
    outage = (NOON + timedelta(hours=20), NOON + timedelta(hours=25, minutes=10))
    made.asleep = lambda now: outage[0] <= now < outage[1]
    began = time.monotonic()
    made.turn()
    made.run((outage[1] - made.clock.at) / HOUR)
    made.turn()
    made.run((START + 48 * HOUR - made.clock.at) / HOUR)
    found = publications(made)
    slots = [p.slot for p in found if p.occasion == "hourly"]
    missed = [NOON + timedelta(hours=h) for h in (21, 22, 23, 24)]
    deviations = sum(len(plant.deviations) for plant in made.plants.values())
    with capsys.disabled():
        size = psutil.Process().memory_info().rss >> 20
        print(
            f"\n48 h x 45 sites: {len(found)} publications, {len(slots)} hourly, "
            f"{deviations} deviations, {time.monotonic() - began:.0f} s wall, {size} MiB"
        )
    rejected = [words for client in made.clients.values() for words in client.rejected]
    early = [words for plant in made.plants.values() for words in plant.stopped_early]
    made.close()
    assert slots == [s for h in range(49) if (s := NOON + timedelta(hours=h)) not in missed]
    assert (made.broken, made.over_limit, early, rejected) == ([], [], [], [])
    assert deviations > 100
