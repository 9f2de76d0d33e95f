"""/v1/backtests: periods of history replayed as they were known, against today's rules and perfect foresight, as jobs."""

from typing import Annotated, Any, Self

from annotated_types import Ge, Le, Len
from pydantic import ValidationError, model_validator

from models.base import Instant, Name, Record, Text
from scenarios.backtest.records import BacktestReport, BacktestSpec, KnowledgeKind, PolicyName
from service.api.common import JOB_HEADERS, running, still_kept, who
from service.backtesting.kept import PAGE, ROWS, folder_of, kept_report
from service.backtesting.page import content_policy
from service.backtesting.periods import Period, asked_spec, periods
from service.backtesting.rows import NO_PARQUET
from service.http.paging import Listing, PageQuery
from service.http.problems import Problem, not_found
from service.http.routes import Answer, Call, Route, json_headers, reads, writes
from service.ports import Services
from service.series_csv import CSV
from service.store.common import UnreadableError, of_this_release
from service.store.records import Job, JobState, Json, ObjectId


class BacktestRequest(Record):
    """A named period (`/v1/backtest-periods`) with days, policies and knowledge of one's own, or a whole specification."""

    period: Name | None = None
    days: Annotated[int, Ge(1), Le(87)] | None = None
    policies: Annotated[tuple[PolicyName, ...], Len(1, 10)] | None = None
    knowledge: KnowledgeKind | None = None
    spec: BacktestSpec | None = None

    @model_validator(mode="after")
    def is_one_of_both(self) -> Self:
        """Refuse a period and a specification together, or neither."""
        if (self.period is None) == (self.spec is None):
            raise ValueError("expected either period or spec")
        if self.spec is not None and (self.days, self.policies, self.knowledge) != (None, None, None):
            raise ValueError("days, policies and knowledge change a named period; a spec says them itself")
        return self


class Backtest(Record):
    """A back-test: what was asked, how far it is, and its key figures once it is done.

    `spec` is absent where another release asked for what this one cannot read.
    """

    backtest_id: ObjectId
    state: JobState
    created_at: Instant
    created_by: Text
    finished_at: Instant | None = None
    spec: BacktestSpec | None
    progress: Json = {}
    figures: Json | None = None
    problem: Json | None = None


class WholeBacktest(Backtest):
    """A back-test with its report, once it is done."""

    report: BacktestReport | None = None


class Backtests(Listing):
    """Back-tests, newest first."""

    items: tuple[Backtest, ...]


class Periods(Record):
    """The named periods, and what of their data is not here."""

    items: tuple[Period, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of back-tests."""
    store, settings = services.store, services.settings

    def ask(call: Call, body: BacktestRequest) -> Answer:
        """Replay a period, as a job of low priority; the report is at the back-test of the same id."""
        jobs = running(services.jobs, "planning")
        payload = {"spec": _spec(body).model_dump(mode="json")}
        job = jobs.submit("backtest", payload, asked_by=who(call), job_id=call.derived_id)
        return Answer(job, headers=json_headers(f"/v1/jobs/{job.job_id}", retry_after_s=10))

    def backtests(call: Call, query: PageQuery) -> Backtests:
        """List back-tests with their key figures."""
        page = store.jobs.page(query.after, query.limit, kind="backtest")
        return Backtests.of(page, tuple(Backtest(**_told(job)) for job in page.items))

    def show(call: Call, backtest: str) -> WholeBacktest:
        """Return one back-test; `report` is there once its job is done."""
        job = known(backtest)
        try:
            report = kept_report(folder_of(settings.data_dir, job.job_id)) if job.state == "done" else None
        except ValidationError as error:
            raise UnreadableError(f"back-test {backtest}: {error.errors()[0]['msg']}") from None
        return WholeBacktest(**_told(job), report=report)

    def page(call: Call, backtest: str) -> Answer:
        """Return the report as a page for people: one file, which runs nothing and loads nothing."""
        content = file(backtest, PAGE)
        return Answer(content, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": content_policy()})

    def rows(call: Call, backtest: str) -> Answer:
        """Return what every policy did and earned, a row for each step and site or workload; CSV, or Parquet by `Accept`."""
        media = next((kind for kind in ROWS if kind in (call.header("Accept") or "")), CSV)
        known(backtest)
        path = folder_of(settings.data_dir, backtest) / ROWS[media]
        if media != CSV and not path.is_file() and path.with_name(ROWS[CSV]).is_file():
            raise Problem("not_acceptable", f"{NO_PARQUET}; CSV is offered.")
        name = f'attachment; filename="{backtest}-{path.name}"'
        return Answer(file(backtest, path.name), media_type=media, headers={"Content-Disposition": name})

    def known(backtest: str) -> Job:
        job = still_kept(store.jobs.get(backtest), "back-test")
        if job.kind != "backtest":
            raise not_found()
        return job

    def file(backtest: str, name: str) -> bytes:
        try:
            return (folder_of(settings.data_dir, known(backtest).job_id) / name).read_bytes()
        except FileNotFoundError:
            raise not_found() from None

    def named(call: Call) -> Periods:
        """List the named periods."""
        return Periods(items=periods(settings.data_folder))

    look, write, tag = reads("operator", "planner"), writes("operator", "planner"), "backtests"
    one = "/v1/backtests/{backtest}"
    return [
        Route(
            "POST", "/v1/backtests", ask, write, "Replay a period of history", tag, Job, 202, problems=("not_ready", "conflict"),
            headers=JOB_HEADERS,
        ),
        Route("GET", "/v1/backtests", backtests, look, "Back-tests", tag, Backtests),
        Route("GET", one, show, look, "One back-test, with its report", tag, WholeBacktest, problems=("other_release",)),
        Route("GET", f"{one}/report", page, look, "The report as a page", tag, also_produces={200: ("text/html",)}),
        Route(
            "GET", f"{one}/rows", rows, look, "The hours of a back-test", tag, also_produces={200: tuple(ROWS)},
            problems=("not_acceptable",), request_headers={"Accept": f"{' or '.join(ROWS)}."},
        ),
        Route("GET", "/v1/backtest-periods", named, look, "Named periods", tag, Periods),
    ]  # fmt: skip


def _spec(body: BacktestRequest) -> BacktestSpec:
    if body.spec is not None:
        return body.spec
    assert body.period is not None
    return asked_spec(body.period, days=body.days, policies=body.policies, knowledge=body.knowledge)


def _told(job: Job) -> dict[str, Any]:
    return {
        "backtest_id": job.job_id, "state": job.state, "created_at": job.created_at, "created_by": job.created_by,
        "finished_at": job.finished_at, "spec": of_this_release(BacktestSpec, job.payload["spec"]),
        "progress": job.progress, "figures": job.result, "problem": job.problem,
    }  # fmt: skip
