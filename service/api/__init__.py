"""The API: one module per resource. Routes translate between HTTP and the services behind; they decide nothing."""

from service.api import (
    acknowledgements,
    audit_log,
    availability,
    awards,
    backtests,
    difficulty,
    events,
    explanations,
    feeds,
    fleet,
    forecasts,
    futures,
    health,
    jobs,
    keys,
    metrics,
    plans,
    scenario_sets,
    scenarios,
    series,
    setpoints,
    sites,
    what_ifs,
)
from service.api import telemetry as telemetry_api
from service.http.routes import Route
from service.ports import Services


def api_routes(services: Services) -> list[Route]:
    """Return all routes of the API, in the order in which the reference shows them."""
    parts = (
        setpoints, telemetry_api, acknowledgements, fleet, sites, series, feeds, forecasts, plans, explanations, events,
        availability, awards, difficulty, scenarios, what_ifs, scenario_sets, futures, backtests, jobs, keys, audit_log, health,
        metrics,
    )  # fmt: skip
    return [route for part in parts for route in part.routes(services)]
