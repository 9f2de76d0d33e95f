"""`wattsplit forecast`: forecasts with quantiles, and how good they were on history."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.exits import bad_input, usage
from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Forecast prices, and score forecasts on history.", no_args_is_help=True)


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
        days = (day_after(first, months) - first).days
        with counting(say, name) as watch:
            try:
                trial = Trial(market=name, first=first, days=days, ahead_days=ahead_days, refit_days=refit_days)
                outcomes.append(run(trial, folder, out / name, telling(watch)))
            except ValueError as why:
                raise bad_input(f"{name}: {why}") from None
        write(out / name / "scores.json", outcomes[-1].model_dump_json(indent=1) + "\n")
    write(out / "scores.md", markdown(outcomes))
    say.result([one.model_dump(mode="json") for one in outcomes], lambda console: show_outcomes(outcomes, console))
    say.note(f"wrote every step, scores.json and scores.md into {out}")
