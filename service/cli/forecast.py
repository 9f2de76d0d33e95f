"""`wattsplit forecast`: what models say of series, joint paths for plans, and how good forecasts were on history."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.exits import bad_input, usage
from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="What models say of series, joint paths for plans, and scores on history.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the series that the running service can forecast, their models, and how these did against the naive forecast.

    Example: `wattsplit forecast list`
    """
    from service.cli.forecast_models import show_models
    from service.cli.running import running

    items = running().get("/v1/forecasts")["items"]
    Say(as_json, quiet).result(items, lambda console: show_models(items, console))


@app.command()
def show(
    series: Annotated[str, typer.Argument(metavar="SERIES", help="Name of the series.")],
    hours: Annotated[int, typer.Option(min=1, max=240, help="How far to look.")] = 48,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what the model of a series says of the hours after what is told, with quantiles and the naive forecast beside.

    Example: `wattsplit forecast show HB_WEST --hours 24`
    """
    from service.cli.forecast_models import show_forecast
    from service.cli.running import running

    found = running().get(f"/v1/forecasts/{series}", hours=hours)
    Say(as_json, quiet).result(found, lambda console: show_forecast(found, console))


@app.command()
def paths(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="Problem file, or the word reference.")],
    history: Annotated[
        str | None, typer.Option(help="CSV with columns start, price:INDEX, hashprice, ambient:NAME, demand:WORKLOAD.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=50, help="How many paths stand for all.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed and history give the same paths.")] = 1,
    recourse_after: Annotated[str, typer.Option(help="Until then machines on are the same in every path.")] = "PT6H",
    zone: Annotated[str, typer.Option(help="Whose clock the days of the CSV follow.")] = "UTC",
    out: Annotated[Path, typer.Option(help="YAML or JSON file to write.")] = Path("futures.yaml"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make the scenarios of `plan run --scenarios` out of forecasts: joint paths that keep the shape of real days.

    The history is that of a CSV file, or else of the running service; each series of the problem that has one is forecast
    from what was known when the problem begins.

    Example: `wattsplit forecast paths problem.yaml --history history.csv --count 8 --out futures.yaml`, then
    `wattsplit plan run problem.yaml --scenarios futures.yaml`
    """
    from service.cli.forecast_paths import make_paths

    make_paths(
        problem, history, count=count, seed=seed, recourse_after=recourse_after, zone=zone, out=out, say=Say(as_json, quiet)
    )


@app.command()
def score(
    markets: Annotated[list[str] | None, typer.Option("--market", help="A market; may be repeated.", show_default=False)] = None,
    start: Annotated[str, typer.Option("--from", help="First local day of the origins.")] = "2023-01-01",
    months: Annotated[int, typer.Option(min=1, max=36, help="How many months of origins, one a day.")] = 12,
    ahead_days: Annotated[int, typer.Option(min=1, max=7, help="How many local days each forecast reaches.")] = 1,
    refit_days: Annotated[int, typer.Option(min=1, max=366, help="A new fit every so many days.")] = 28,
    study: Annotated[bool, typer.Option("--study", help="Score twelve months of each market of the standing study.")] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for every step (CSV) and the scores; a run that was broken off goes on.")
    ] = Path("forecast-scores"),
    data: Annotated[
        Path | None, typer.Option(help="Folder of larger data; by default what WATTSPLIT_DATA names.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Forecast each day of some months from what was known then, and score it against what came and against yardsticks.

    Examples: `wattsplit forecast score --market ercot_north --from 2023-01-01 --months 12` ·
    `wattsplit forecast score --study --out scores` (some minutes; writes scores.json and scores.md, too)
    """
    from datetime import date

    from scenarios.forecast.origins import STUDY, Outcome, Trial, run
    from scenarios.markets import MARKETS
    from service.cli.backtest import data_folder
    from service.cli.forecast_tables import day_after, markdown, show_outcomes, telling
    from service.cli.inputs import write
    from service.cli.progress import counting

    say, folder = Say(as_json, quiet), data_folder(data)
    if folder is None:
        raise usage("forecast score: expected a folder of larger data by --data or in WATTSPLIT_DATA")
    if study == bool(markets):
        raise usage(f"forecast score: expected --market or --study; markets are {', '.join(sorted(MARKETS))}")
    try:
        chosen = STUDY if study else {name: date.fromisoformat(start) for name in markets or ()}
    except ValueError:
        raise usage(f"--from: expected a day such as 2023-01-01, got {start!r}") from None
    outcomes: list[Outcome] = []
    for name, first in chosen.items():
        with counting(say, name) as watch:
            try:
                days = (day_after(first, months) - first).days
                trial = Trial(market=name, first=first, days=days, ahead_days=ahead_days, refit_days=refit_days)
                outcomes.append(run(trial, folder, out / name, telling(watch)))
            except ValueError as why:
                raise bad_input(f"{name}: {why}") from None
        write(out / name / "scores.json", outcomes[-1].model_dump_json(indent=1) + "\n")
    write(out / "scores.md", markdown(outcomes))
    say.result([one.model_dump(mode="json") for one in outcomes], lambda console: show_outcomes(outcomes, console))
    say.note(f"wrote every step, scores.json and scores.md into {out}")
