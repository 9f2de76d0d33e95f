"""The pages at `/` and `/what-ifs`, their assets, and the two documents that they read beside the API's own.

The pages themselves hold no data and are open; what they show they read with the rights of whoever looks at them.
"""

import hashlib
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pydantic import ConfigDict, Field

from models.digest import digest
from models.plan import Plan
from models.problem import Problem
from service.http.paging import Query
from service.http.problems import not_found
from service.http.routes import EVERYBODY, PUBLIC, Answer, Call, Route, reads
from service.ports import Services
from service.price_bands import Band, price_bands
from service.web.backtests import list_route
from service.web.document import Overview
from service.web.now import Now, now
from service.web.overview import UnknownSiteError, overview

ASSETS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
PLANS_KEPT = 3
"""Plans whose parsed form stays in memory: the one in force, and those that a reader or two look back at."""


class ScopeQuery(Query):
    """The fleet, or one of its sites."""

    site: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")] | None = None


class AddressQuery(Query):
    """What a page's own script keeps in its address: site, zone, hour; which what-if. The service does not read it."""

    model_config = ConfigDict(extra="ignore")


def page_routes(services: Services, *, release: str) -> list[Route]:
    """Return the routes of the page; `release` is the program's version, for its foot."""
    store = services.store

    @lru_cache(maxsize=PLANS_KEPT)
    def kept(plan_id: str) -> tuple[Problem, Plan, dict[str, Band]] | None:
        plan = store.plans.get(plan_id)
        problem = store.plans.problem(plan.problem_digest) if plan else None
        return (problem, plan, price_bands(store, problem, plan)) if plan and problem else None

    def page(call: Call, query: AddressQuery) -> Answer:
        """Show the page."""
        return _html("index.html")

    def what_ifs(call: Call, query: AddressQuery) -> Answer:
        """Show the page of what-ifs."""
        return _html("what-ifs.html")

    def asset(call: Call, stamp: str, name: str) -> Answer:
        """Return a file of the page; its address changes with its content, so it may be kept for good."""
        if name not in _assets():
            raise not_found()
        lasting = "public, max-age=31536000, immutable" if stamp == _stamp() else "no-cache"
        return Answer(_assets()[name], media_type=ASSETS[name.rsplit(".", 1)[1]], headers={"Cache-Control": lasting})

    def status(call: Call) -> Answer:
        """Return which plan is served, whether it is fresh, what is being planned, and who asks."""
        found = now(services, call.principal, release)
        return _unless_held(call, digest(found.model_dump(mode="json")), lambda: found)

    def shown(call: Call, plan: str, query: ScopeQuery) -> Answer:
        """Return what the page draws of a plan: power, prices, money and machines by step, of the fleet or of one site."""
        held = kept(plan)
        if held is None:
            kept.cache_clear()  # a plan that is not there now may be there later
            raise not_found()

        def made() -> Overview:
            try:
                problem, planned, bands = held
                return overview(problem, planned, query.site, bands)
            except UnknownSiteError:
                raise not_found() from None

        return _unless_held(call, f"{plan}-{query.site}", made)

    look = reads("operator", "planner")
    etag = {"ETag": "Names this content; send it back as If-None-Match."}
    held_by_caller = {"If-None-Match": "ETag of what the caller holds."}
    return [
        Route("GET", "/", page, PUBLIC, "The page", "page", hidden=True),
        Route("GET", "/what-ifs", what_ifs, PUBLIC, "What-ifs", "page", hidden=True),
        list_route(services, f"/assets/{_stamp()}/page.css"),
        Route("GET", "/assets/{stamp}/{name}", asset, PUBLIC, "Its parts", "page", hidden=True),
        Route(
            "GET", "/v1/now", status, reads(*EVERYBODY), "What is served and planned now", "page", Now,
            headers=etag, also_produces={304: ()}, request_headers=held_by_caller,
        ),
        Route(
            "GET", "/v1/plans/{plan}/overview", shown, look, "What the page draws of a plan", "page", Overview,
            headers=etag, also_produces={304: ()}, request_headers=held_by_caller,
        ),
    ]  # fmt: skip


def _unless_held(call: Call, what: str, make: Callable[[], Now | Overview]) -> Answer:
    etag = f'"{hashlib.sha256(f"{what}|{call.principal.id}".encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    return Answer(None, 304, headers) if call.header("If-None-Match") == etag else Answer(make(), headers=headers)


@cache
def _assets() -> dict[str, bytes]:
    folder = files("service.web") / "static"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.rsplit(".", 1)[-1] in ASSETS}


@cache
def _stamp() -> str:
    """Return a name of the assets' content."""
    return hashlib.sha256(b"\0".join(_assets()[name] for name in sorted(_assets()))).hexdigest()[:12]


def _html(template: str) -> Answer:
    return Answer(_page(template), media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})


@cache
def _page(template: str) -> bytes:
    environment = Environment(loader=PackageLoader("service.web"), autoescape=select_autoescape(), undefined=StrictUndefined)
    return environment.get_template(template).render(asset=lambda name: f"/assets/{_stamp()}/{name}").encode()
