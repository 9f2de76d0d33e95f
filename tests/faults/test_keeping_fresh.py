"""What is not fresh is tried again, named by site and told to people: failed solves, missing inputs, sites that do not answer."""

from dataclasses import replace
from datetime import timedelta

import pytest
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import simulation

from models.fleet import Fleet
from models.time_grid import hourly
from scenarios.reference import reference_fleet
from service.engine import Answer
from service.inputs import NoInputError, gather, is_replayed
from service.keys import Keyring
from service.optimiser import real_engine
from service.store.records import FleetVersion

MIN = timedelta(minutes=1)


def quick(problem, ask, **how) -> Answer:
    """No solver is needed to see what becomes of its failure."""
    return Answer("timeout", why="timeout: not asked")


def planned_with(folder, optimise=quick, fleet: Fleet | None = None, sites: int = 2, **settings):
    engine = replace(real_engine(), optimise=optimise)
    made = simulation(
        folder, fleet or small_fleet(sites), NOON + 5 * MIN, ambient=lambda _n, _t: 15.0, engine=engine, horizon_h=6,
        memory_mib=512, **{"budget_s": 2.0} | settings,
    )  # fmt: skip
    post_series(made.store, NOON, 80)
    return made


def occasions(made) -> list[tuple[str, str]]:
    return [(p.occasion, p.basis) for p in reversed(made.store.publications.page(limit=100).items)]


def alarms(made, code: str) -> list[str]:
    lines = made.store.audit_log.page(limit=500).items
    return [line.detail["words"] for line in lines if (line.action, line.subject) == ("alarm", code)]


# --- a planner that cannot plan ---------------------------------------------------------------------------------------


def test_planning_that_fails_is_told_before_what_is_served_has_ended_and_until_it_succeeds(tmp_path):
    made = planned_with(tmp_path, real_engine().optimise)
    desk = made.service.desk
    assert desk.turn()
    assert desk.freshness(made.clock()).fresh
    whole = made.service.planner.engine

    def broken(*_args, **_how):
        raise RuntimeError("a part is missing")

    made.service.planner.engine = replace(whole, optimise=broken, rule_plan=broken, carry_over=broken, safe_plan=broken)
    made.clock.at += 40 * MIN
    assert not desk.turn()
    found = desk.freshness(made.clock())
    assert not found.fresh
    assert [why for why in found.reasons if why.startswith("failing: planning: ") and "a part is missing" in why]
    made.service.planner.engine = whole
    assert desk.turn()
    assert desk.freshness(made.clock()).fresh
    made.close()


# --- a solve that failed ----------------------------------------------------------------------------------------------


def test_a_failed_solve_is_tried_again_within_its_hour_and_published_once_it_succeeds(tmp_path):
    made, real = planned_with(tmp_path), real_engine()
    desk = made.service.desk
    assert desk.turn()
    assert occasions(made) == [("start", "rule"), ("hourly", "rule")]
    made.clock.at += 4 * MIN
    assert not desk.turn(), "not at once"
    made.clock.at += 2 * MIN
    assert desk.turn()
    assert len(occasions(made)) == 2, "a rung that is in force already is not published again"
    assert len(alarms(made, "retry_failed")) == 1
    made.clock.at += 6 * MIN
    assert not desk.turn(), "the second try waits twice as long"
    made.service.planner.engine = replace(real, optimise=real.optimise)
    made.clock.at += 5 * MIN
    assert desk.turn()
    assert occasions(made)[-1] == ("retry-2-2", "optimised")
    assert made.store.publications.newest().slot == NOON
    assert desk.freshness(made.clock()).fresh
    assert not desk.turn()
    made.close()


def test_after_three_tries_the_next_slot_is_waited_for(tmp_path):
    asked = []

    def counted(problem, ask, **how) -> Answer:
        asked.append(made.clock())
        return quick(problem, ask)

    made = planned_with(tmp_path, counted)
    made.clock.at = NOON
    for _ in range(40):
        made.service.desk.turn()
        made.clock.at += MIN
    assert [at - NOON for at in asked] == [timedelta(0), 5 * MIN, 15 * MIN, 35 * MIN]
    made.close()


# --- sites without input ----------------------------------------------------------------------------------------------


def test_sites_that_are_held_for_a_missing_price_are_named_and_nothing_is_called_fresh(tmp_path):
    fleet = small_fleet(2)
    lacking = fleet.sites[1].model_copy(update={"contract": fleet.sites[1].contract.model_copy(update={"index": "unheard-of"})})
    made = planned_with(tmp_path, real_engine().optimise, fleet.model_copy(update={"sites": (fleet.sites[0], lacking)}))
    made.service.desk.turn()
    assert made.store.publications.newest().basis == "optimised", "the others are planned"
    found = made.service.desk.freshness(made.clock())
    assert not found.fresh
    assert found.stale_sites == {"abilene": "no usable series of kind price for unheard-of"}
    assert found.reasons == (
        "stale: abilene is held on its rule plan: no usable series of kind price for unheard-of",
    )  # fmt: skip
    made.close()


def test_replayed_series_are_the_shipped_fleets_alone_whatever_another_is_called(tmp_path):
    shipped = reference_fleet()
    mine = shipped.model_copy(update={"title": "My own"})
    made = planned_with(tmp_path, fleet=mine)
    assert mine.name == shipped.name
    assert not is_replayed(made.store.fleets.newest())
    found = gather(made.store, mine, hourly(NOON, 6), now=NOON)
    assert "replayed" not in found.labels
    assert set(found.excluded) == {site.name for site in mine.sites}
    version = {"version": 1, "digest": "sha256:0", "created_at": NOON}
    assert is_replayed(FleetVersion(fleet=shipped, created_by="key of an operator", **version)), "the same fleet, handed in again"
    assert is_replayed(FleetVersion(fleet=mine, created_by="start", **version)), "as an older release shipped it"
    assert not is_replayed(FleetVersion(fleet=mine, created_by="key of an operator", **version))
    made.close()


def test_an_imported_fleet_of_the_shipped_ones_name_does_not_hash_for_a_replayed_price(tmp_path):
    made = simulation(tmp_path, reference_fleet().model_copy(update={"title": "My own"}), NOON, ambient=lambda _n, _t: 15.0)
    with pytest.raises(NoInputError, match="no series of kind hashprice"):
        made.service.planner.prepare(NOON)
    made.close()


# --- sites that do not answer -----------------------------------------------------------------------------------------


def test_a_controller_that_does_not_acknowledge_in_time_is_an_alarm_once(tmp_path):
    made = planned_with(tmp_path, acknowledge_within_s=600)
    desk, store = made.service.desk, made.store
    Keyring(store, made.clock).issue("controller", label="plc", by="test", sites=["pecos"])
    desk.turn()
    began = made.clock()
    for minutes in (0, 9, 11, 14):
        made.clock.at = began + minutes * MIN
        desk.ring()
    (words,) = alarms(made, "unacknowledged")
    assert words == f"pecos has not acknowledged version 1 of {began:%Y-%m-%dT%H:%M:%SZ} and all after it, for 11 min"
    unanswered = desk.freshness(made.clock()).unanswered
    assert list(unanswered) == ["pecos"], "abilene has no controller, and nothing is expected of it"
    store.acknowledgements.add("pecos", 1, "applied", at=made.clock(), received_at=made.clock())
    desk.ring()
    assert len(alarms(made, "unacknowledged")) == 2, "version 2 is as old, and nobody answered for it"
    store.acknowledgements.add("pecos", 2, "applied", at=made.clock(), received_at=made.clock())
    desk.ring()
    assert desk.freshness(made.clock()).unanswered == {}
    made.close()


def test_a_document_that_a_site_refuses_is_an_alarm_once(tmp_path):
    made = planned_with(tmp_path)
    Keyring(made.store, made.clock).issue("controller", label="plc", by="test", sites=["pecos"])
    made.service.desk.turn()
    made.store.acknowledgements.add("pecos", 2, "rejected", at=NOON, received_at=made.clock(), detail="a ramp of its own")
    made.service.desk.ring()
    made.service.desk.ring()
    assert alarms(made, "refused_by_site") == ["pecos rejected version 2: a ramp of its own"]
    made.close()


def test_a_key_made_after_a_publication_owes_its_answer_from_then_on(tmp_path):
    made = planned_with(tmp_path, acknowledge_within_s=600)
    made.service.desk.turn()
    made.clock.at += 20 * MIN
    Keyring(made.store, made.clock).issue("controller", label="plc", by="test", sites=["pecos"])
    made.service.desk.ring()
    assert alarms(made, "unacknowledged") == []
    made.clock.at += 11 * MIN
    made.service.desk.ring()
    assert len(alarms(made, "unacknowledged")) == 1
    made.close()


# --- documents made on the spot ---------------------------------------------------------------------------------------


def test_no_two_documents_of_a_site_have_the_same_number(tmp_path):
    made = planned_with(tmp_path)
    publisher = made.service.services.publisher
    before = publisher.fallback("pecos", made.clock())
    assert (before.version, before.revision, before.basis) == (0, 1, "rule")
    made.service.desk.turn()
    published = made.store.publications.setpoint("pecos")
    numbers = [(published.version, published.revision)]
    for hours in (3, 4, 7):
        made.clock.at = NOON + timedelta(hours=hours, minutes=5)
        stand_in = publisher.fallback("pecos", made.clock())
        assert publisher.fallback("pecos", made.clock() + MIN) == stand_in, "served again, it is the same document"
        numbers.append((stand_in.version, stand_in.revision))
    made.service.desk.turn()
    newest = made.store.publications.setpoint("pecos")
    numbers.append((newest.version, newest.revision))
    assert numbers == sorted(set(numbers))
    assert [revision for _, revision in numbers] == [0, 181, 241, 421, 0]
    made.close()


# --- plans that stay ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("least_gain_usd", [0.0, 1e6])
def test_a_new_plan_says_what_it_changed_of_the_one_in_force_or_lets_that_go_on(tmp_path, least_gain_usd):
    made = planned_with(tmp_path, real_engine().optimise, least_gain_usd=least_gain_usd, budget_s=20.0)
    desk, store = made.service.desk, made.store
    desk.turn()
    first = store.plans.get(store.publications.newest().plan_id)
    assert (first.basis, first.stability) == ("optimised", None), "nothing optimised stood before"
    made.clock.at = NOON + 40 * MIN
    desk.turn()
    second = store.plans.get(store.publications.newest().plan_id)
    assert second.basis == "optimised"
    assert second.stability.standing == first.plan_id
    assert second.stability.least_gain_usd == least_gain_usd
    if least_gain_usd:
        assert second.stability.kept
        assert second.stability.changed == 0
        assert any(reason.startswith(f"kept: plan {first.plan_id}") for reason in store.publications.setpoint("pecos").reasons)
    made.close()
