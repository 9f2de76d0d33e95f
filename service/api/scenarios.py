"""/v1/scenarios: what-ifs against the latest problem, as jobs; their comparisons also as CSV and as a workbook."""

from typing import Annotated, Any

from annotated_types import Len
from pydantic import Field

from models.base import Record
from models.reading import BadInputError
from scenarios.compare import Comparison
from scenarios.patch import parse_patches
from service.api.common import JOB_HEADERS, AskedGap, BudgetS, running, still_kept, who
from service.api.files import FILE_HEADERS, attached, done_at, engine_of
from service.comparison_tables import PlanFacts, comparison_csv, comparison_xlsx
from service.http.paging import Listing, PageQuery
from service.http.problems import not_found
from service.http.routes import Answer, Call, Route, json_headers, reads, writes
from service.ports import Services
from service.series_csv import CSV
from service.store.common import UnreadableError, of_this_release
from service.store.records import Job, Scenario
from service.workbook import XLSX

MAX_CHANGES = 200


class ScenarioRequest(Record):
    """Changes to the latest problem, each written `QUANTITY[NAME]@FROM..TO=VALUE`, for example `hashprice=-20%`."""

    name: Annotated[str, Len(1, 200)]
    set: Annotated[tuple[Annotated[str, Len(1, 200)], ...], Len(1, MAX_CHANGES), Field(examples=[["hashprice=-20%"]])]
    asked_gap: AskedGap | None = None
    budget_s: BudgetS | None = None
    strict: Annotated[
        bool, Field(description="Diagnose what pins or the state contradict; else that gives way by rule, and is named.")
    ] = False


class Scenarios(Listing):
    """What-ifs, newest first."""

    items: tuple[Scenario, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of what-ifs."""
    store = services.store

    def ask(call: Call, body: ScenarioRequest) -> Answer:
        """Plan the latest problem with changes and compare it with the plan without them, as a job."""
        jobs = running(services.jobs, "planning")
        try:
            parse_patches(body.set)
        except BadInputError as error:
            raise BadInputError([r.model_copy(update={"pointer": f"/set{r.pointer}"}) for r in error.refusals]) from None
        scenario_id = call.derived_id
        request = body.model_dump(mode="json", exclude_none=True)
        payload: dict[str, Any] = {"scenario_id": scenario_id, **request}
        with store.transaction():  # no worker may find the job before its what-if is there
            job = jobs.submit("scenario", payload, asked_by=who(call), job_id=scenario_id)
            store.scenarios.add(scenario_id, body.name, job.job_id, request, by=who(call), at=call.now)
        return Answer(job, headers=json_headers(f"/v1/jobs/{job.job_id}", retry_after_s=2))

    def scenarios(call: Call, query: PageQuery) -> Scenarios:
        """List what-ifs."""
        return Scenarios.of(store.scenarios.page(query.after, query.limit))

    def show(call: Call, scenario: str) -> Scenario:
        """Return one what-if; `result` is there once its job is done."""
        return still_kept(store.scenarios.get(scenario), "what-if")

    def table(call: Call, scenario: str) -> Answer:
        """Return the comparison as a table in CSV: a row for each figure, by term, use, site and workload."""
        _, _, comparison = answered(scenario)
        return attached(comparison_csv(comparison), f"{scenario}.csv", f"{CSV}; charset=utf-8")

    def book(call: Call, scenario: str) -> Answer:
        """Return the comparison as a workbook: profit by term, energy, sites, workloads, both plans, and notes."""
        asked, result, comparison = answered(scenario)
        ids = [("base", str(result["base_plan_id"])), ("what-if", str(result["plan_id"]))]
        facts = [PlanFacts.of_head(role, plan_id, store.plans.head(plan_id)) for role, plan_id in ids]
        made = comparison_xlsx(
            comparison, name=asked.name, changes=asked.request.get("set", ()), plans=facts,
            engine=engine_of(store, ids[1][1]), at=done_at(store.jobs.get(asked.job_id), asked.created_at),
        )  # fmt: skip
        return attached(made, f"{scenario}.xlsx", XLSX)

    def answered(scenario_id: str) -> tuple[Scenario, dict[str, Any], Comparison]:
        asked = still_kept(store.scenarios.get(scenario_id), "what-if")
        if asked.result is None:
            raise not_found()
        if (comparison := of_this_release(Comparison, asked.result["comparison"])) is None:
            raise UnreadableError(f"the what-if {scenario_id} was stored by another release")
        return asked, dict(asked.result), comparison

    look, one = reads("operator", "planner"), "/v1/scenarios/{scenario}"
    return [
        Route(
            "POST", "/v1/scenarios", ask, writes("operator", "planner"), "Ask a what-if", "scenarios", Job, 202,
            problems=("not_ready", "conflict"), headers=JOB_HEADERS,
        ),
        Route("GET", "/v1/scenarios", scenarios, look, "What-ifs", "scenarios", Scenarios),
        Route("GET", one, show, look, "One what-if", "scenarios", Scenario),
        Route(
            "GET", f"{one}/table.csv", table, look, "A comparison as a table in CSV", "scenarios", also_produces={200: (CSV,)},
            problems=("other_release",), headers=FILE_HEADERS,
        ),
        Route(
            "GET", f"{one}/table.xlsx", book, look, "A comparison as a workbook", "scenarios", also_produces={200: (XLSX,)},
            problems=("other_release",), headers=FILE_HEADERS,
        ),
    ]  # fmt: skip
