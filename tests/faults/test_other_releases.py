"""What another release stored, with fields that this one does not know, is refused in words and never stalls planning."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import simulation
from sqlalchemy import select, text, update

from models.digest import digest
from service.app import create_app
from service.engine import Answer
from service.known_state import recent_plans
from service.optimiser import real_engine
from service.published import NothingToPlanError
from service.site_client import digest_faults
from service.store import Store
from service.store.common import UnreadableError
from service.store.schema import fleet_version, plan, problem, setpoint

MIN = timedelta(minutes=1)


def quick(problem, ask, **how) -> Answer:
    return Answer("timeout", why="timeout: not asked")


@pytest.fixture
def made(tmp_path):
    engine = replace(real_engine(), optimise=quick)
    run = simulation(
        tmp_path, small_fleet(2), NOON + 5 * MIN, ambient=lambda _n, _t: 15.0, engine=engine, horizon_h=6, budget_s=2.0
    )
    post_series(run.store, NOON, 80)
    assert run.service.desk.turn()
    yield run
    run.close()


def rewrite(store: Store, table, change: Callable[[dict[str, Any]], Any]) -> None:
    """Let all rows of a table read as if another release had stored them."""
    with store._database.write() as connection:
        connection.execute(text(f"DROP TRIGGER IF EXISTS {table.name}_no_update"))
        keys = list(table.primary_key.columns)
        for row in connection.execute(select(*keys, table.c.body)).all():
            content = json.loads(row.body)
            change(content)
            where = [key == value for key, value in zip(keys, row, strict=False)]
            connection.execute(update(table).where(*where).values(body=json.dumps(content).encode()))


def newer(content: dict[str, Any]) -> None:
    content["schema_version"] = 2


def older(content: dict[str, Any]) -> None:
    del content["grid"]


def renamed(content: dict[str, Any]) -> None:
    content["from_the_future"] = True


@pytest.mark.parametrize("change", [newer, older, renamed])
def test_a_plan_of_another_release_is_refused_with_its_version_and_the_field_that_does_not_fit(made, change):
    plan_id = made.store.publications.newest().plan_id
    rewrite(made.store, plan, change)
    with pytest.raises(UnreadableError) as refused:
        made.store.plans.get(plan_id)
    version = 2 if change is newer else 1
    field = {newer: "/schema_version", older: "/grid", renamed: "/from_the_future"}[change]
    assert f"plan {plan_id} (schema version {version}) was stored by another release: {field}: " in str(refused.value)
    assert made.store.plans.body(plan_id) is not None, "what was stored stays as it is"


@pytest.mark.parametrize("table", [plan, problem, setpoint], ids=lambda table: table.name)
@pytest.mark.parametrize("minutes", [2, 36], ids=["within the hour", "for the next hour"])
def test_planning_goes_on_over_what_another_release_published(made, table, minutes):
    before = made.store.publications.newest().version
    rewrite(made.store, table, renamed)
    made.service.planner._known = None  # a new release is a new process
    made.service.desk._gauge._read = 0, (), {}
    made.clock.at += minutes * MIN
    assert made.service.desk.turn()
    newest = made.store.publications.newest()
    assert newest.version > before
    assert made.store.publications.setpoint("pecos").audit_passed
    assert not made.service.desk.freshness(made.clock()).stale_sites


def test_nothing_is_believed_of_commands_that_cannot_be_read(made):
    assert recent_plans(made.store, made.clock()) != []
    rewrite(made.store, plan, renamed)
    assert recent_plans(made.store, made.clock()) == []
    state = made.service.planner.state(made.clock(), made.clock())
    assert {site.source for site in state.sites.values()} <= {"measured", "assumed"}


def test_the_last_good_rung_falls_in_words_and_the_rule_rung_holds(made):
    made.service.planner.engine = replace(made.service.planner.engine, optimise=real_engine().optimise)
    made.clock.at = NOON + 40 * MIN
    made.service.desk.turn()
    assert made.store.publications.newest().basis == "optimised"
    rewrite(made.store, plan, renamed)
    made.service.planner.engine = replace(made.service.planner.engine, optimise=quick)
    made.clock.at = NOON + 100 * MIN
    made.service.desk.turn()
    told = made.store.publications.setpoint("pecos")
    assert told.basis == "rule"
    assert any("no last_good plan" in reason and "was stored by another release" in reason for reason in told.reasons)


def test_a_site_whose_document_cannot_be_read_is_served_the_next_rung(made):
    rewrite(made.store, setpoint, renamed)
    client = create_app(made.service.services).test_client()
    shown = client.get("/v1/sites/pecos/setpoints")
    assert shown.status_code == 200
    assert shown.json["basis"] == "rule"
    rewrite(made.store, plan, renamed)
    answer = client.get("/v1/plans/latest/money")
    assert (answer.status_code, answer.json["code"]) == (409, "other_release")
    assert "/from_the_future" in answer.json["detail"]
    assert client.get("/v1/plans/latest").status_code == 200, "as it was stored"


def test_a_document_of_a_release_with_fewer_fields_is_sent_as_it_was_stored_so_that_its_digest_holds(made):
    def before_revisions(content: dict[str, Any]) -> None:
        del content["revision"]
        content["digest"] = digest({name: value for name, value in content.items() if name != "digest"})

    rewrite(made.store, setpoint, before_revisions)
    client = create_app(made.service.services).test_client()
    for path in ("/v1/sites/pecos/setpoints", "/v1/sites/pecos/setpoints/2"):
        sent = client.get(path).json
        assert "revision" not in sent
        assert digest_faults(sent) == []
        assert digest_faults(sent | {"version": 3}) != []
    assert made.clients["pecos"].poll(), "and a controller takes it"


def test_a_fleet_of_another_release_is_asked_for_again(made):
    rewrite(made.store, fleet_version, lambda fleet: fleet["sites"][0].update(colour="green"))
    made.store.fleets._newest = None
    with pytest.raises(NothingToPlanError, match=r"version 1 of the fleet .*/sites/0/colour: .*; import the fleet again"):
        made.service.planner.prepare(NOON)
