"""`wattsplit backtest`: what a plan every hour would have earned on real history, against today's rules and perfect foresight."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.exits import Exit, bad_input
from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from scenarios.backtest.records import BacktestReport, BacktestSpec

app = typer.Typer(help="Replay history as it was known, and see what planning earns.", no_args_is_help=True)

DATA_VARIABLE = "WATTSPLIT_DATA"
Data = Annotated[
    Path | None, typer.Option(help=f"Folder of larger data; by default what {DATA_VARIABLE} names.", show_default=False)
]


@app.command()
def run(
    period: Annotated[str, typer.Argument(metavar="PERIOD", help="A named period (`backtest list`), or a specification's file.")],
    days: Annotated[int | None, typer.Option(min=1, max=87, help="Replay only the first days.", show_default=False)] = None,
    policies: Annotated[
        str | None, typer.Option(help="Who is compared, with commas between, such as plan,break_even; by default all.")
    ] = None,
    knowledge: Annotated[
        str | None, typer.Option(help="What the plan knows of what is to come: naive, model or perfect.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report, page and rows. A run that was broken off goes on there.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Policies that are replayed at once.")] = 1,
    data: Data = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Replay a period hour by hour through the planning code, and compare policies on what really came.

    Examples: `wattsplit backtest run storm --out storm` (needs no folder of data) ·
    `wattsplit backtest run ercot-2023 --days 7 --policies plan,break_even,perfect_foresight --jobs 2 --out ercot`
    """
    import tempfile

    from service.app import release
    from service.backtesting.conduct import conduct
    from service.backtesting.periods import with_data
    from service.cli.backtest_tables import show_report
    from service.cli.inputs import made_folder, refusing
    from service.cli.progress import counting

    say, folder = Say(as_json, quiet), data_folder(data)
    with refusing("the back-test"):
        spec = with_data(spec_of_words(period, days, policies, knowledge), folder)
    if out is not None:
        made_folder(out)
    with tempfile.TemporaryDirectory() as scratch, counting(say, spec.name) as watch:
        try:
            report, notes = conduct(spec, out or Path(scratch), folder, release=release(), jobs=jobs, progress=watch)
        except ValueError as error:
            raise bad_input(f"{period}: {error}") from None
    say.result(report.model_dump(mode="json"), lambda console: show_report(report, console))
    for note in notes:
        say.warn(note)
    if out is not None:
        say.note(f"wrote report.json, report.html and the rows into {out}")
    end(report)


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the named periods, and whether their data is here.

    Example: `wattsplit backtest list`
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding

    from service.backtesting.periods import periods

    rows = [period.model_dump(mode="json") for period in periods(data_folder(data))]

    def show(console: Console) -> None:
        for row in rows:
            markets = ", ".join(row["markets"])
            console.print(f"{row['name']}: {row['days']} days, {row['sites']} sites, {markets}", style="bold", markup=False)
            here = "[green]its data is here[/green]" if not row["absent"] else f"[yellow]absent[/yellow]: {escape(row['absent'])}"
            console.print(Padding(f"{escape(row['title'])}\n{here}", (0, 0, 0, 2)))

    Say(as_json, quiet).result(rows, show)


@app.command()
def show(
    report: Annotated[str, typer.Argument(metavar="FOLDER|REPORT", help="A folder of `backtest run --out`, or its report.json.")],
    page: Annotated[Path | None, typer.Option(help="Write the report as an HTML page, too.", show_default=False)] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show the report of a back-test that has ended.

    Examples: `wattsplit backtest show storm` · `wattsplit backtest show storm/report.json --page storm.html`
    """
    from scenarios.backtest.records import BacktestReport
    from service.app import release
    from service.backtesting.kept import REPORT
    from service.backtesting.page import report_page
    from service.cli.backtest_tables import show_report
    from service.cli.inputs import content_of, parse_document, parsed, refusing, write

    say, source = Say(as_json, quiet), Path(report)
    if source.is_dir():
        source = source / REPORT
        if not source.exists():
            goes_on = f"`wattsplit backtest run … --out {report}` goes on where it stopped"
            raise bad_input(f"{report}: expected {REPORT} in it; {goes_on}")
    with refusing(f"{source} as a report"):
        found = parsed(BacktestReport, parse_document(str(source), content_of(str(source), "report")))
    if page is not None:
        write(page, report_page(found, release=release()))
        say.note(f"wrote {page}")
    say.result(found.model_dump(mode="json"), lambda console: show_report(found, console))
    end(found)


def data_folder(given: Path | None) -> Path | None:
    """Return the folder of larger data: the one that is given, or the one that the environment names, or none."""
    named = os.environ.get(DATA_VARIABLE)
    return given or (Path(named) if named else None)


def spec_of_words(period: str, days: int | None, policies: str | None, knowledge: str | None) -> "BacktestSpec":
    """Return the specification of a named period, or of a file; options change either.

    Raises:
        models.reading.BadInputError: no such period or policy, more days than it has, or a file that is refused.
    """
    from service.backtesting.periods import asked_spec, changed, placed
    from service.cli.inputs import content_of, parse_document

    wanted = [name.strip() for name in policies.split(",")] if policies else None
    if Path(period).suffix.lower() not in (".json", ".yaml", ".yml"):
        return asked_spec(period, days=days, policies=wanted, knowledge=knowledge)
    given = placed(parse_document(period, content_of(period, "specification of a back-test")))
    return changed(given, days=days, policies=wanted, knowledge=knowledge)


def end(report: "BacktestReport") -> None:
    """Leave with the exit code of a report: plans that break a rule, or that were not optimised in time.

    Raises:
        typer.Exit: with its code, unless all is well.
    """
    if any(result.broken for result in report.policies):
        raise typer.Exit(Exit.REFUSED)
    if any(result.plans_not_optimised for result in report.policies):
        raise typer.Exit(Exit.NO_OPTIMUM)
