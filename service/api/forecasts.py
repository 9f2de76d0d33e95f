"""/v1/forecasts: which models continue which series, how they did lately, and what they say now."""

from typing import Annotated

from annotated_types import Ge, Le
from pydantic import Field

from models.base import Record
from models.forecast import Forecast
from models.time_grid import hourly
from scenarios.forecast.training import forecaster_of
from service.api.common import QueryInstant, found, invalid
from service.forecasting import MOST_HOURS, Forecasts
from service.http.paging import Query
from service.http.problems import Problem
from service.http.routes import Call, Route, reads
from service.ports import Services
from service.store.forecast_records import ForecastModel
from service.store.series_records import SeriesDeclaration


class ForecastHead(Record):
    """A series that can be forecast: its newest model, if one is trained, and whether plans take it where the series ends.

    They take it where `score` says that it did better than the naive forecast; else the last day known goes on.
    """

    declaration: SeriesDeclaration
    model: ForecastModel | None
    used: bool


class ForecastList(Record):
    """All series that can be forecast, by name."""

    items: tuple[ForecastHead, ...]


class ForecastOut(Record):
    """What a model says of a series now, the naive forecast (`yardstick`) beside it."""

    model: ForecastModel
    used: bool
    forecast: Forecast


class ForecastQuery(Query):
    """Which hours; without `start` those after what is told, until `hours` after now."""

    start: QueryInstant | None = Field(default=None, description="First hour; not before the end of what is told.")
    hours: Annotated[int, Ge(1), Le(MOST_HOURS)] = 48


def routes(services: Services) -> list[Route]:
    """Return the routes of forecasts."""
    store, forecasts = services.store, Forecasts(services.store)

    def listing(call: Call) -> ForecastList:
        """List all series that can be forecast, with their newest models."""
        models = {model.series: model for model in store.forecasts.newest()}
        declared = [d for d in store.series.declarations() if forecaster_of(d.kind) is not None]
        return ForecastList(items=tuple(_head(d, models.get(d.name)) for d in declared))

    def forecast(call: Call, series: str, query: ForecastQuery) -> ForecastOut:
        """Return quantiles by hour, from what is known now."""
        declared, model = found(store.series.declaration(series)), found(forecasts.model(series))
        if query.start is not None and query.start.timestamp() % 3600:
            raise invalid("/start", "not_an_hour", f"expected a whole hour, got {query.start:%Y-%m-%dT%H:%M:%SZ}", "query")
        try:
            grid = None if query.start is None else hourly(query.start, query.hours)
            made = forecasts.made(declared, model, call.now, hours=query.hours, grid=grid)
        except (ValueError, OverflowError) as error:
            if query.start is not None:
                raise invalid("/start", "not_forecast", str(error), "query") from None
            raise Problem("not_ready", f"{error}.", headers={"Retry-After": "3600"}) from None
        except KeyError as error:
            raise Problem("not_ready", f"{error} is being replaced.", headers={"Retry-After": "5"}) from None
        return ForecastOut(model=model, used=model.is_used, forecast=made)

    look = reads("operator", "planner")
    return [
        Route("GET", "/v1/forecasts", listing, look, "Series that can be forecast", "forecasts", ForecastList),
        Route(
            "GET", "/v1/forecasts/{series}", forecast, look, "Forecast of a series", "forecasts", ForecastOut,
            problems=("not_ready",),
        ),
    ]  # fmt: skip


def _head(declared: SeriesDeclaration, model: ForecastModel | None) -> ForecastHead:
    return ForecastHead(declaration=declared, model=model, used=model is not None and model.is_used)
