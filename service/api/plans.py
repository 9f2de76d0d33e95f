"""/v1/plans: ask for a plan; read the latest or any other, by site, by money, and against another."""

from models.base import Count, Instant, Name, Record, Text
from models.plan import Basis, Plan, Proof, SitePlan, Term
from models.problem import Problem as Input
from models.time_grid import TimeGrid
from scenarios.compare import Comparison, compare
from service.api.common import JOB_HEADERS, AskedGap, BudgetS, QueryName, found, invalid, running, still_kept, who
from service.api.plan_csv import plan_csv
from service.http.paging import Listing, PageQuery, Query
from service.http.problems import not_found
from service.http.routes import Answer, Call, Route, json_headers, reads, writes
from service.ports import Services
from service.price_bands import price_bands
from service.series_csv import CSV
from service.store.records import Job, PlanHead

LATEST = "latest"


class PlanRequest(Record):
    """How good and how fast; the service's own settings where left out."""

    asked_gap: AskedGap | None = None
    budget_s: BudgetS | None = None


class PlanQuery(PageQuery):
    """Which plans."""

    purpose: QueryName = "fleet"


class DiffQuery(Query):
    """The plan to compare with; the plan published before if left out."""

    against: QueryName | None = None


class TableQuery(Query):
    """One site of the plan, or all."""

    site: QueryName | None = None


class Plans(Listing):
    """Heads of plans, newest first."""

    items: tuple[PlanHead, ...]


class PlanOfSite(Record):
    """One site's part of a plan."""

    plan_id: Name
    basis: Basis
    created_at: Instant
    grid: TimeGrid
    site: Name
    decisions: SitePlan


class TermByOwner(Record):
    """One term's total by owner (site or workload)."""

    term: Term
    total_usd: float
    by_owner_usd: dict[Name, float]


class Money(Record):
    """Where the money of a plan comes from; the terms add up to the profit."""

    plan_id: Name
    basis: Basis
    profit_usd: float
    proof: Proof
    terms: tuple[TermByOwner, ...]
    labels: tuple[Text, ...]
    steps: Count


def routes(services: Services) -> list[Route]:
    """Return the routes of plans."""
    store = services.store

    def named(plan: str) -> str:
        """Return a plan's id; the latest is what was published last, or stored last while nothing is published."""
        if plan != LATEST:
            return plan
        published = store.publications.newest()
        return published.plan_id if published else found(store.plans.newest()).plan_id

    def whole(plan: str) -> Plan:
        return still_kept(store.plans.get(named(plan)), "plan")

    def trigger(call: Call, body: PlanRequest) -> Answer:
        """Plan with the inputs of now, as a job. The job's result names the plan."""
        jobs = running(services.jobs, "planning")
        payload = body.model_dump(mode="json", exclude_none=True)
        job = jobs.submit("plan", payload, asked_by=who(call), job_id=call.derived_id)
        return Answer(job, headers=json_headers(f"/v1/jobs/{job.job_id}", retry_after_s=2))

    def plans(call: Call, query: PlanQuery) -> Plans:
        """List plans: of the fleet, or those that answered what-ifs."""
        if query.purpose not in ("fleet", "scenario"):
            raise invalid("/purpose", "invalid_value", f"expected fleet or scenario, got {query.purpose}", "query")
        return Plans.of(store.plans.page(query.after, query.limit, purpose="fleet" if query.purpose == "fleet" else "scenario"))

    def show(call: Call, plan: str) -> Answer:
        """Return a plan as it was stored; `latest` is the plan that was published last."""
        plan_id = named(plan)
        body = still_kept(store.plans.body(plan_id), "plan")
        etag = f'"{plan_id}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        return Answer(None, 304, headers) if call.header("If-None-Match") == etag else Answer(body, headers=headers)

    def problem(call: Call, plan: str) -> Input:
        """Return the input that a plan answers: fleet, series, orders and state, complete."""
        return found(store.plans.problem(still_kept(store.plans.head(named(plan)), "plan").problem_digest))

    def of_site(call: Call, plan: str, site: str) -> PlanOfSite:
        """Return one site's part of a plan."""
        p = whole(plan)
        return PlanOfSite(
            plan_id=p.plan_id, basis=p.basis, created_at=p.created_at, grid=p.grid, site=site, decisions=found(p.sites.get(site))
        )

    def money(call: Call, plan: str) -> Money:
        """Return the profit of a plan by named term and owner, with its proof."""
        p = whole(plan)
        terms: dict[Term, dict[str, float]] = {}
        for line in p.money:
            terms.setdefault(line.term, {})[line.owner] = sum(line.usd)
        listed = tuple(TermByOwner(term=term, total_usd=sum(by.values()), by_owner_usd=by) for term, by in terms.items())
        return Money(
            plan_id=p.plan_id, basis=p.basis, profit_usd=p.profit_usd, proof=p.proof, terms=listed, labels=p.labels,
            steps=p.grid.steps,
        )  # fmt: skip

    def table(call: Call, plan: str, query: TableQuery) -> Answer:
        """Return a plan as a table in CSV: power, price and money by site and step; of one site, its machines too."""
        p = whole(plan)
        if query.site is not None and query.site not in p.sites:
            raise not_found()
        problem = found(store.plans.problem(p.problem_digest))
        rows = plan_csv(problem, p, query.site, price_bands(store, problem, p))
        name = f'attachment; filename="{p.plan_id}{f"-{query.site}" if query.site else ""}.csv"'
        headers = {"Content-Disposition": name, "Cache-Control": "private, no-cache"}
        return Answer(rows, headers=headers, media_type=f"{CSV}; charset=utf-8")

    def diff(call: Call, plan: str, query: DiffQuery) -> Comparison:
        """Return what changed from another plan to this one, over the steps that both have, with its ±."""
        after = whole(plan)
        before = None if query.against else store.publications.before(after.plan_id, after.created_at)
        before_id = query.against or still_kept(before, "earlier plan").plan_id
        return compare(whole(before_id), after)

    look = reads("operator", "planner")
    one = "/v1/plans/{plan}"
    return [
        Route(
            "POST", "/v1/plans", trigger, writes("operator", "planner"), "Ask for a plan", "plans", Job, 202,
            problems=("not_ready", "conflict"), headers=JOB_HEADERS,
        ),
        Route("GET", "/v1/plans", plans, look, "Plans", "plans", Plans),
        Route(
            "GET", one, show, look, "One plan, or the latest", "plans", Plan, also_produces={304: ()},
            request_headers={"If-None-Match": "ETag of the plan that the caller holds."},
        ),
        Route("GET", f"{one}/problem", problem, look, "The input of a plan", "plans", Input),
        Route("GET", f"{one}/sites/{{site}}", of_site, look, "One site of a plan", "plans", PlanOfSite),
        Route("GET", f"{one}/money", money, look, "The money of a plan", "plans", Money),
        Route(
            "GET", f"{one}/table.csv", table, look, "A plan as a table in CSV", "plans", also_produces={200: (CSV,)},
            headers={"Content-Disposition": "A name for the file."},
        ),
        Route("GET", f"{one}/diff", diff, look, "What changed between two plans", "plans", Comparison),
    ]  # fmt: skip
