"""/v1/jobs: long work, its progress and its end."""

from models.base import Record
from service.api.common import found, running, who
from service.http.paging import Listing, PageQuery
from service.http.routes import Call, Route, reads, writes
from service.ports import Services
from service.store.records import Job, JobKind, JobState


class JobQuery(PageQuery):
    """Jobs of one kind, in one state, or all."""

    kind: JobKind | None = None
    state: JobState | None = None


class JobList(Listing):
    """Jobs, newest first."""

    items: tuple[Job, ...]


class Cancellation(Record):
    """An empty object."""


def routes(services: Services) -> list[Route]:
    """Return the routes of jobs."""
    store = services.store

    def jobs(call: Call, query: JobQuery) -> JobList:
        """List jobs."""
        return JobList.of(store.jobs.page(query.after, query.limit, kind=query.kind, state=query.state))

    def show(call: Call, job: str) -> Job:
        """Return one job. It ends in done, failed, infeasible or cancelled."""
        return found(store.jobs.get(job))

    def cancel(call: Call, job: str, body: Cancellation) -> Job:
        """Stop a job; its process is gone within two seconds and writes no result. A finished job stays as it is."""
        found(store.jobs.get(job))
        return running(services.jobs, "planning").cancel(job, asked_by=who(call))

    look = reads("operator", "planner")
    path = "/v1/jobs/{job}/cancel"
    return [
        Route("GET", "/v1/jobs", jobs, look, "Jobs", "jobs", JobList),
        Route("GET", "/v1/jobs/{job}", show, look, "One job", "jobs", Job),
        Route("POST", path, cancel, writes("operator", "planner"), "Cancel a job", "jobs", Job, problems=("not_ready",)),
    ]
