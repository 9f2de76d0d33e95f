"""What-ifs of sites that are held for a missing input reckon with stand-ins, and say so wherever they are read."""

import io
import json
from datetime import timedelta

import pytest
from faults.test_planning_faults import waiting_for
from rich.console import Console
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import simulation
from workbooks import read_book

from scenarios.compare import Comparison
from scenarios.scenario_sets import SetComparison
from service.cli.differences import show_comparison
from service.comparison_tables import comparison_xlsx, set_xlsx

NOTE = "these figures hold a stand-in: price_missing: no usable series of kind price for silent; 50 stands in at abilene, massena"


@pytest.fixture
def planned(tmp_path):
    """A service of three sites, two of which buy at an index that nobody tells, with its jobs running."""
    fleet = small_fleet(3)
    first, *rest = fleet.sites
    silent = [s.model_copy(update={"contract": s.contract.model_copy(update={"index": "silent"})}) for s in rest]
    fleet = fleet.model_copy(update={"sites": (first, *silent)})
    clock = NOON + timedelta(minutes=5)
    made = simulation(tmp_path, fleet, clock, ambient=lambda *_: 15.0, horizon_h=6, budget_s=10.0)
    post_series(made.store, NOON, 80)
    assert made.service.desk.turn()
    made.service.runner.start()
    yield made
    made.close()


def answer(made, kind: str, **payload):
    made.service.runner.submit(kind, payload, asked_by="planner", job_id="asked")
    waiting_for(lambda: made.store.jobs.get("asked").finished, 120)
    job = made.store.jobs.get("asked")
    assert job.state == "done", job.problem
    return job.result


def noted(book: bytes) -> list[str]:
    return [row["what"] for row in read_book(book).pages["Notes"].records if row["note"] == "note"]


def test_a_what_if_names_the_stand_ins_in_its_answer_its_table_and_its_workbook(planned):
    result = answer(planned, "scenario", set=["hashprice=-20%"])
    found = Comparison.model_validate_json(json.dumps(result["comparison"]))
    assert found.notes == (NOTE,)
    told = io.StringIO()
    show_comparison(found, Console(file=told, width=200))
    assert NOTE in told.getvalue()
    assert noted(comparison_xlsx(found, name="cheap", changes=[], plans=[], engine={}, at=NOON)) == [NOTE]


def test_a_set_of_what_ifs_names_them_once(planned):
    wanted = [{"name": "cheap", "set": ["hashprice=-20%"]}, {"name": "dear", "set": ["energy_price[hub]=+30"]}]
    found = SetComparison.model_validate_json(json.dumps(answer(planned, "scenario_set", name="two", scenarios=wanted)))
    assert found.notes == (NOTE,)
    assert noted(set_xlsx(found, name="two", plans=[], engine={}, at=NOON)) == [NOTE]
