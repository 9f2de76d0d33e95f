"""Comparisons of what-ifs as files: typed cells, units, notes, and no text that a spreadsheet takes for a formula."""

import csv
import io
from datetime import timedelta

import pytest
from served import START, Served
from workbooks import read_book

from models.plan import Plan
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from scenarios.apply import apply_patches
from scenarios.compare import compare
from scenarios.patch import parse_patches
from scenarios.scenario_sets import SetComparison, WhatIf, planned_row
from service.workbook import XLSX, Column, Sheet, workbook

CHANGES = ("hashprice=-20%", "limit[pecos]=-20%")
ODD_NAMES = ('=HYPERLINK("http://127.0.0.1")', "+1+1", "-2", "@SUM(A1)", "{=1}", "http://127.0.0.1/", "1e3", "_x0041_ & <b>")


def changed(served: Served, count: int = len(CHANGES)) -> Plan:
    """A plan of the served problem with the first changes, kept as an answer to a what-if."""
    problem = apply_patches(served.problem, parse_patches(CHANGES[:count]))
    plan = rule_plan(problem, served.now() + timedelta(seconds=count))
    plan = plan.model_copy(update={"audit": audit(problem, plan), "plan_id": f"{count:032x}", "engine": {"solver": "by hand"}})
    served.store.plans.add(problem, plan, purpose="scenario")
    return plan


def answered(served: Served, name: str) -> str:
    """The id of a what-if of some name that is answered."""
    asked = served.client.post("/v1/scenarios", json={"name": name, "set": list(CHANGES)}, headers=served.as_("planner"))
    assert asked.status_code == 202, asked.text
    after = changed(served)
    result = {
        "base_plan_id": served.plan.plan_id, "plan_id": after.plan_id, "base_digest": served.problem.digest,
        "comparison": compare(served.plan, after).model_dump(mode="json"),
    }  # fmt: skip
    served.store.scenarios.answer(asked.json["job_id"], result, base_digest=served.problem.digest)
    return asked.json["job_id"]


def test_a_comparison_comes_as_a_workbook_whose_figures_are_the_answer_s(served: Served):
    scenario = answered(served, "cheap coins")
    told = served.client.get(f"/v1/scenarios/{scenario}").json["result"]["comparison"]
    answer = served.client.get(f"/v1/scenarios/{scenario}/table.xlsx")
    assert answer.headers["Content-Type"] == XLSX
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{scenario}.xlsx"'
    book = read_book(answer.data)
    assert list(book.pages) == ["Profit", "Energy", "Sites", "Workloads", "Plans", "Notes"]
    assert all(page.frozen for page in book.pages.values())
    profit = {row["term"]: row["difference of profit, USD"] for row in book.pages["Profit"].records}
    assert profit.pop("all terms") == pytest.approx(told["profit_usd"]["difference"], abs=0, rel=1e-12)
    assert profit == pytest.approx({term: usd["difference"] for term, usd in told["profit_by_term_usd"].items()}, rel=1e-12)
    assert sum(profit.values()) == pytest.approx(told["profit_usd"]["difference"])
    energy = {row["use"]: row["what-if energy, MWh"] for row in book.pages["Energy"].records}
    assert energy == pytest.approx({use: told["energy"][f"{use}_mwh"]["after"] for use in ("hashing", "serving", "base")})
    sites = {row["site"]: row for row in book.pages["Sites"].records}
    for name, site in told["sites"].items():
        assert sites[name]["base profit, USD"] == pytest.approx(site["profit_usd"]["before"])
        assert sites[name]["difference of hashing, MWh"] == pytest.approx(site["energy"]["hashing_mwh"]["difference"])
        assert sites[name]["decisions changed"] == site["decisions_changed"]
    owners = [*sites.values(), *book.pages["Workloads"].records]
    assert sum(row["difference of profit, USD"] for row in owners) == pytest.approx(told["profit_usd"]["difference"])


def test_the_notes_say_what_was_changed_how_sure_it_is_and_what_planned_it(served: Served):
    book = read_book(served.client.get(f"/v1/scenarios/{answered(served, 'cheap coins')}/table.xlsx").data)
    notes = [(row["note"], row["what"]) for row in book.pages["Notes"].records]
    assert ("name", "cheap coins") in notes
    assert ("change", "hashprice=-20% (hashprice 20 % lower)") in notes
    assert ("base", served.plan.plan_id) in notes
    words = dict(notes)
    assert "sum of both gaps" in words["what ± means"]
    assert "no bound is proven" in words["what ± is here"]
    assert words["engine: solver"] == "by hand"
    plans = book.pages["Plans"].records
    assert [row["plan of"] for row in plans] == ["base", "what-if"]
    assert plans[0]["profit, USD"] == pytest.approx(served.plan.profit_usd)
    assert isinstance(plans[0]["made, UTC"], float)  # a date to a spreadsheet, not text


@pytest.mark.parametrize("name", ODD_NAMES)
def test_text_stays_text_whatever_it_begins_with(served: Served, name):
    book = read_book(served.client.get(f"/v1/scenarios/{answered(served, name)}/table.xlsx").data)
    assert (book.formulas, book.links) == (0, 0)
    told = [row["what"] for row in book.pages["Notes"].records if row["note"] == "name"]
    assert len(told) == 1
    assert told[0].replace("_x005F_", "_") == name  # how the format itself writes an underscore before x0041_


def test_the_same_comparison_gives_the_same_file(served: Served):
    scenario = answered(served, "twice")
    first, again = (served.client.get(f"/v1/scenarios/{scenario}/table.xlsx").data for _ in range(2))
    assert first == again


def test_a_comparison_comes_as_csv_too(served: Served):
    scenario = answered(served, "cheap coins")
    told = served.client.get(f"/v1/scenarios/{scenario}").json["result"]["comparison"]
    answer = served.client.get(f"/v1/scenarios/{scenario}/table.csv")
    assert answer.mimetype == "text/csv"
    rows = {(row["part"], row["name"]): row for row in csv.DictReader(io.StringIO(answer.text))}
    assert float(rows["profit", "all"]["difference"]) == pytest.approx(told["profit_usd"]["difference"], abs=1e-4)
    assert float(rows["term", "hashing_revenue"]["what_if"]) == pytest.approx(
        told["profit_by_term_usd"]["hashing_revenue"]["after"], abs=1e-4
    )
    assert rows["site_hashing", "pecos"]["unit"] == "MWh"
    sums = [row for (part, _), row in rows.items() if part in ("site", "workload")]
    assert sum(float(row["base"]) for row in sums) == pytest.approx(told["profit_usd"]["before"], abs=0.01)


def test_a_set_comes_as_a_workbook_with_what_each_change_adds(served: Served):
    wanted = [{"name": "dear", "set": list(CHANGES)}, {"name": "none", "set": ["site[pecos]=off"]}]
    asked = served.client.post(
        "/v1/scenario-sets", json={"name": "=two", "scenarios": wanted, "attribute": True}, headers=served.as_("planner")
    )
    set_id = asked.json["job_id"]
    assert served.client.get(f"/v1/scenario-sets/{set_id}/table.xlsx").status_code == 404
    plans = [changed(served, 1), changed(served, 2)]
    planned = planned_row(WhatIf(name="dear", set=CHANGES), served.plan, plans)
    missing = planned.model_copy(update={
        "name": "none", "ending": "infeasible", "why": "=no plan", "profit_usd": None, "energy": None, "plan_id": None,
        "profit_by_term_usd": {}, "decisions_changed": None, "attribution": (), "changes": ("site[pecos]=off",),
    })  # fmt: skip
    comparison = SetComparison(
        base_plan_id=served.plan.plan_id, base_digest="x", base_profit_usd=served.plan.profit_usd, rows=(planned, missing)
    )
    served.store.jobs.claim("worker", at=served.now(), lease_s=60)
    served.store.jobs.finish(set_id, "worker", "done", at=served.now(), result=comparison.model_dump(mode="json"))
    answer = served.client.get(f"/v1/scenario-sets/{set_id}/table.xlsx")
    assert answer.headers["Content-Type"] == XLSX
    book = read_book(answer.data)
    assert (book.formulas, book.links) == (0, 0)
    base, dear, none = book.pages["Scenarios"].records
    assert (base["scenario"], base["profit, USD"]) == ("base", pytest.approx(served.plan.profit_usd))
    assert dear["difference to base, USD"] == pytest.approx(plans[1].profit_usd - served.plan.profit_usd)
    assert dear["changes"] == "hashprice=-20%; limit[pecos]=-20%"
    assert (none["ending"], none["profit, USD"], none["why there is no plan"]) == ("infeasible", None, "=no plan")
    added = book.pages["Attribution"].records
    assert [row["change"] for row in added] == list(CHANGES)
    assert sum(row["adds, USD"] for row in added) == pytest.approx(dear["difference to base, USD"])
    assert [row["plan of"] for row in book.pages["Plans"].records] == ["base", "dear"]
    assert ("set", "=two") in [(row["note"], row["what"]) for row in book.pages["Notes"].records]


def test_files_are_there_once_the_answer_is_and_for_planners_alone(served: Served):
    asked = served.client.post("/v1/scenarios", json={"name": "x", "set": ["hashprice=-1%"]}, headers=served.as_("planner"))
    for end in ("csv", "xlsx"):
        path = f"/v1/scenarios/{asked.json['job_id']}/table.{end}"
        assert served.client.get(path).status_code == 404
        assert served.client.get(path, headers=served.as_("controller")).status_code == 403
        assert served.client.get(f"/v1/scenarios/{'0' * 32}/table.{end}").status_code == 404


def test_a_row_that_does_not_fit_its_columns_is_an_error(served: Served):
    with pytest.raises(ValueError, match="zip"):
        workbook([Sheet("a", [Column("one")], [["x", "y"]])], title="t", created_at=served.now())


def test_text_that_no_cell_can_hold_is_refused_and_not_cut():
    with pytest.raises(ValueError, match="Notes what: 40000 characters are more than a cell may hold"):
        workbook([Sheet("Notes", [Column("what")], [["x" * 40_000]])], title="long", created_at=START)
