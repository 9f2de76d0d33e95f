"""/v1/scenario-sets: many what-ifs on the latest problem at once, as one job; compared in a table, as CSV and as a workbook."""

from typing import Annotated, Any

from annotated_types import Len

from models.base import Instant, Record, Text
from scenarios.scenario_sets import SetComparison, WhatIfs, table_csv
from service.api.common import JOB_HEADERS, AskedGap, BudgetS, running, still_kept, who
from service.api.files import FILE_HEADERS, attached, done_at, engine_of
from service.comparison_tables import PlanFacts, set_xlsx
from service.http.paging import Listing, PageQuery
from service.http.problems import not_found
from service.http.routes import Answer, Call, Route, json_headers, reads, writes
from service.ports import Services
from service.series_csv import CSV
from service.store.common import UnreadableError, of_this_release
from service.store.records import Job, JobState, Json, ObjectId
from service.workbook import XLSX


class ScenarioSetRequest(WhatIfs):
    """What-ifs of one base, each with changes of its own; `attribute` also finds what each change adds to those before it."""

    name: Annotated[str, Len(1, 200)]
    asked_gap: AskedGap | None = None
    budget_s: BudgetS | None = None
    strict: bool = False


class ScenarioSet(Record):
    """A set of what-ifs; `comparison` is there once its job is done. What another release wrote otherwise is absent."""

    set_id: ObjectId
    name: Text
    state: JobState
    created_at: Instant
    created_by: Text
    request: WhatIfs | None
    progress: Json = {}
    problem: Json | None = None
    comparison: SetComparison | None = None


class ScenarioSets(Listing):
    """Sets of what-ifs, newest first."""

    items: tuple[ScenarioSet, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of sets of what-ifs."""
    store = services.store

    def ask_set(call: Call, body: ScenarioSetRequest) -> Answer:
        """Plan the latest problem with the changes of each what-if, and compare all of them with the plan without, as a job."""
        jobs = running(services.jobs, "planning")
        body.patches()  # every change that cannot be read is told now, with its place
        payload = body.model_dump(mode="json", exclude_none=True)
        job = jobs.submit("scenario_set", payload, asked_by=who(call), job_id=call.derived_id)
        return Answer(job, headers=json_headers(f"/v1/jobs/{job.job_id}", retry_after_s=2))

    def sets(call: Call, query: PageQuery) -> ScenarioSets:
        """List sets of what-ifs."""
        page = store.jobs.page(query.after, query.limit, kind="scenario_set")
        return ScenarioSets.of(page, tuple(_told(job) for job in page.items))

    def show_set(call: Call, set: str) -> ScenarioSet:
        """Return one set of what-ifs."""
        return whole(set)

    def set_table(call: Call, set: str) -> Answer:
        """Return the comparison as a table in CSV: the base, then a row for each what-if."""
        _, comparison = compared(set)
        return attached(table_csv(comparison), f"{set}.csv", f"{CSV}; charset=utf-8")

    def set_book(call: Call, set: str) -> Answer:
        """Return the comparison as a workbook: a row for each what-if, terms, energy, attribution, all plans, and notes."""
        told, comparison = compared(set)
        ids = [("base", comparison.base_plan_id), *((row.name, row.plan_id) for row in comparison.rows if row.plan_id)]
        facts = [PlanFacts.of_head(role, plan_id, store.plans.head(plan_id)) for role, plan_id in ids]
        made = set_xlsx(
            comparison, name=told.name, plans=facts, engine=engine_of(store, comparison.base_plan_id),
            at=done_at(store.jobs.get(set), told.created_at),
        )  # fmt: skip
        return attached(made, f"{set}.xlsx", XLSX)

    def compared(set_id: str) -> tuple[ScenarioSet, SetComparison]:
        told = whole(set_id)
        if told.comparison is None:
            raise not_found()
        return told, told.comparison

    def whole(set_id: str) -> ScenarioSet:
        told = _told(known(set_id))
        if told.request is None or (told.state == "done" and told.comparison is None):
            raise UnreadableError(f"the set of what-ifs {set_id} was stored by another release")
        return told

    def known(set_id: str) -> Job:
        job = still_kept(store.jobs.get(set_id), "set of what-ifs")
        if job.kind != "scenario_set":
            raise not_found()
        return job

    look, root, one, tag = reads("operator", "planner"), "/v1/scenario-sets", "/v1/scenario-sets/{set}", "scenarios"
    return [
        Route(
            "POST", root, ask_set, writes("operator", "planner"), "Ask many what-ifs", tag, Job, 202,
            problems=("not_ready", "conflict"), headers=JOB_HEADERS,
        ),
        Route("GET", root, sets, look, "Sets of what-ifs", tag, ScenarioSets),
        Route("GET", one, show_set, look, "One set of what-ifs", tag, ScenarioSet, problems=("other_release",)),
        Route(
            "GET", f"{one}/table.csv", set_table, look, "A set as a table in CSV", tag, also_produces={200: (CSV,)},
            problems=("other_release",), headers=FILE_HEADERS,
        ),
        Route(
            "GET", f"{one}/table.xlsx", set_book, look, "A set as a workbook", tag, also_produces={200: (XLSX,)},
            problems=("other_release",), headers=FILE_HEADERS,
        ),
    ]  # fmt: skip


def _told(job: Job) -> ScenarioSet:
    wanted: dict[str, Any] = {"scenarios": job.payload["scenarios"], "attribute": job.payload.get("attribute", False)}
    done = of_this_release(SetComparison, job.result) if job.state == "done" and job.result is not None else None
    return ScenarioSet(
        set_id=job.job_id, name=job.payload["name"], state=job.state, created_at=job.created_at, created_by=job.created_by,
        request=of_this_release(WhatIfs, wanted), progress=job.progress, problem=job.problem, comparison=done,
    )  # fmt: skip
