"""/v1/futures: decisions for now over scenarios with probabilities of the latest problem, as jobs."""

from typing import Annotated

from annotated_types import Ge, Le

from models.base import Record, Share
from scenarios.futures_file import WrittenFutures
from service.api.common import JOB_HEADERS, AskedGap, BudgetS, running, who
from service.http.routes import Answer, Call, Route, json_headers, writes
from service.ports import Services
from service.store.records import Job


class FuturesRequest(Record):
    """Scenarios over the latest problem, as `wattsplit plan run --scenarios` takes them, and how much the worst count.

    The objective is (1 - cvar_weight_share) x expected profit + cvar_weight_share x mean of the worst 1 - cvar_level_share.
    """

    futures: WrittenFutures
    cvar_weight_share: Share = 0.0
    cvar_level_share: Annotated[float, Ge(0), Le(0.999)] = 0.95
    knowledge: bool = False
    """Also find the value of planning for scenarios, and of knowing the future."""
    asked_gap: AskedGap | None = None
    budget_s: BudgetS | None = None


def routes(services: Services) -> list[Route]:
    """Return the route of futures."""

    def plan_over(call: Call, body: FuturesRequest) -> Answer:
        """Decide for now over scenarios of the latest problem, as a job whose result names a plan for each of them."""
        jobs = running(services.jobs, "planning")
        payload = body.model_dump(mode="json", exclude_none=True)
        job = jobs.submit("futures", payload, asked_by=who(call), job_id=call.derived_id)
        return Answer(job, headers=json_headers(f"/v1/jobs/{job.job_id}", retry_after_s=2))

    return [
        Route(
            "POST", "/v1/futures", plan_over, writes("operator", "planner"), "Plan over scenarios with probabilities",
            "scenarios", Job, 202, problems=("not_ready", "conflict"), headers=JOB_HEADERS,
        ),
    ]  # fmt: skip
