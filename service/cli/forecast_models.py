"""Models of stored series and what they say, as tables for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from service.cli.tables import rows_table, table_of

COLUMNS = ("series", "kind", "model", "version", "trained", "on points", "error ÷ naive", "10–90 % holds", "taken")
SHOWN_PPM = (100_000, 500_000, 900_000)


def show_models(items: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print one row a series."""
    if not items:
        console.print("no series that could be forecast is told of")
        return
    console.print(rows_table([_row(item) for item in items], COLUMNS))
    console.print("taken: where the series ends before a plan does, its model goes on; else its last day known does.")


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    declared, model = item["declaration"], item["model"]
    row = {"series": declared["name"], "kind": declared["kind"], "taken": "yes" if item["used"] else "no"}
    if model is None:
        return row | {"model": "none trained yet"}
    row |= {name: model[name] for name in ("model", "version")}
    row |= {"trained": model["trained_at"], "on points": model["data"]["points"]}
    if (score := model["score"]) is None:
        return row
    ratio = f"{score['mae'] / score['naive_mae']:.2f}" if score["naive_mae"] else "–"
    return row | {"error ÷ naive": ratio, "10–90 % holds": f"{score['coverage_share']:.0%}"}


def show_forecast(found: Mapping[str, Any], console: Console) -> None:
    """Print one row an hour: quantiles, mean, and the naive forecast."""
    from models.forecast import Forecast
    from models.reading import parse

    forecast, model = parse(Forecast, found["forecast"]), found["model"]
    taken = "taken in plans" if found["used"] else "no better than the naive forecast lately, so not taken in plans"
    console.print(f"[b]{forecast.name}[/b] [{forecast.unit}] by {forecast.model}, version {model['version']}, trained "
                  f"{model['trained_at']}: {taken}", highlight=False)  # fmt: skip
    table = table_of("", ["hour"], ["10 %", "50 %", "90 %", "mean", "naive"])
    levels = [forecast.at_level(ppm) for ppm in SHOWN_PPM]
    for start, *values in zip(forecast.grid.starts, *levels, forecast.mean, forecast.yardstick, strict=True):
        table.add_row(f"{start:%Y-%m-%d %H:%MZ}", *(f"{value:,.6g}" for value in values))
    console.print(table)
