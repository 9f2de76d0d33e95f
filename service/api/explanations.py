"""/v1/plans/{plan}/explanations: why a plan does what it does at a site in a step."""

from typing import Annotated

from annotated_types import Ge, Lt

from models.base import MAX_STEPS
from models.explanation import Explanation
from optimizer.explain import UnexplainedError, UnpricedError
from service.api.common import QueryName, found, invalid, still_kept
from service.api.plans import LATEST
from service.explaining import BusyError, Explainer
from service.http.paging import Query
from service.http.problems import Problem
from service.http.routes import Answer, Call, Route, reads
from service.ports import Services

RETRY_S = 5


class ExplanationQuery(Query):
    """Which site and step of the plan; steps count from 0."""

    site: QueryName
    step: Annotated[int, Ge(0), Lt(MAX_STEPS)]


def routes(services: Services) -> list[Route]:
    """Return the route of explanations."""
    explainer = Explainer(services.store, services.settings.memory_mib)

    def explanation(call: Call, plan: str, query: ExplanationQuery) -> Answer:
        """Say what one more MW is worth there, what the next best use would have changed, and what binds.

        The figures are worked out when they are first asked for, within half a minute; `latest` is the newest plan.
        """
        plan_id = found(services.store.plans.newest()).plan_id if plan == LATEST else plan
        try:
            told = explainer.explain(plan_id, query.site, query.step)
        except UnexplainedError as error:
            field = "/site" if str(error).startswith("site") else "/step"
            raise invalid(field, "invalid_value", str(error), "query") from None
        except (BusyError, UnpricedError) as error:
            raise Problem("not_ready", f"{error}.", headers={"Retry-After": str(RETRY_S)}) from None
        return Answer(still_kept(told, "plan"), headers={"Cache-Control": "private, no-cache"})

    return [
        Route(
            "GET", "/v1/plans/{plan}/explanations", explanation, reads("operator", "planner"),
            "Why a plan does what it does", "plans", Explanation, problems=("not_ready",),
        ),
    ]  # fmt: skip
