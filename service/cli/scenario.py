"""`wattsplit scenario`: what if the world were another."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from service.cli.exits import Exit
from service.cli.plan import Budget, Gap
from service.cli.say import AsJson, Quiet, Say
from service.cli.sweep import sweep

app = typer.Typer(help="Ask what-ifs: change a problem, plan both, compare.", no_args_is_help=True)


@app.command()
def run(
    problem: Annotated[str, typer.Argument(metavar="BASE", help="A problem file, `reference`, or a name of the library.")],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="A change, such as hashprice=-20% or limit[pecos]@6h..10h=20MW; may be repeated."),
    ] = None,
    gap: Gap = 5e-3,
    budget: Budget = "PT120S",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for both problems, both plans and the comparison (JSON); or NAME.xlsx: it as a workbook."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Plan a base and its patched copy, each within the budget, and compare: profit by term with its ±, MWh, by site.

    Examples: `wattsplit scenario run reference --set hashprice=-20%` · `wattsplit scenario run heat_wave` ·
    `wattsplit scenario run price_spike --out comparison.xlsx`
    """
    from scenarios.compare import compare, notes_of_change
    from service.cli.differences import show_comparison
    from service.cli.durations import seconds
    from service.cli.inputs import before_writing, made_folder, write
    from service.cli.offline import make_plan
    from service.cli.what_if import what_if

    say = Say(as_json, quiet)
    budget_s = seconds(budget)
    is_book = out is not None and out.suffix.lower() == ".xlsx"
    before_writing(out if is_book else None)  # a folder is made once the change is read
    asked = what_if(problem, change or [])
    if out is not None and not is_book:
        made_folder(out, " or NAME.xlsx")
    for line in asked.words:
        say.note(line)
    for line in asked.changed_words:
        say.note(f"changed: {line}")
    made = [
        make_plan(given, gap=gap, budget_s=budget_s, say=say, title=title)
        for title, given in (("base", asked.base), ("scenario", asked.changed))
    ]
    comparison = compare(made[0].plan, made[1].plan, notes_of_change(asked.base, asked.changed) if asked.patches else ())
    unmet = asked.unmet(comparison)
    if out is not None and is_book:
        from service.comparison_tables import PlanFacts, comparison_xlsx

        facts = [PlanFacts.of_plan(role, each.plan) for role, each in zip(("base", "what-if"), made, strict=True)]
        book = comparison_xlsx(
            comparison, name=problem, changes=asked.patches, plans=facts, engine=made[1].plan.engine, at=made[1].plan.created_at
        )
        write(out, book)
        say.note(f"wrote {out}")
    elif out is not None:
        files = {
            "base.problem": asked.base,
            "scenario.problem": asked.changed,
            "base.plan": made[0].plan,
            "scenario.plan": made[1].plan,
        }
        for name, record in (files | {"comparison": comparison}).items():
            write(out / f"{name}.json", record.model_dump_json(indent=1) + "\n")
        say.note(f"wrote five files into {out}")

    def show(console: Console) -> None:
        console.print(f"changed: {', '.join(asked.changed_words) or 'nothing'}", markup=False)
        show_comparison(comparison, console)
        for words in unmet:
            console.print(f"[yellow]not as expected[/yellow] {words}")

    say.result(comparison.model_dump(mode="json") | {"patches": list(asked.patches), "not_as_expected": unmet}, show)
    for plan in made:
        if plan.exit is not Exit.DONE:
            say.warn(plan.warning)
    if worst := max(plan.exit for plan in made):
        raise typer.Exit(worst)


app.command()(sweep)


@app.command("list")
def list_(
    problem: Annotated[
        str | None, typer.Argument(metavar="[PROBLEM]", help="List what of this problem can be changed instead.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the library of what-ifs, or everything of a problem that `--set` can change.

    Examples: `wattsplit scenario list` · `wattsplit scenario list reference`
    """
    from service.cli.inputs import read_problem
    from service.cli.tables import rows_table

    if problem is not None:
        from scenarios.apply import patchable

        rows = [found.model_dump(mode="json") for found in patchable(read_problem(problem))]
        columns = ["quantity", "name", "unit", "example"]
    else:
        from scenarios.library import load_scenario, scenario_names

        library = [load_scenario(name) for name in scenario_names()]
        rows = [{"name": s.name, "title": s.title, "patches": list(s.patches), "why": s.why} for s in library]
        columns = []

    def show(console: Console) -> None:
        if columns:
            console.print(rows_table(rows, columns))
            return
        for row in rows:
            changes = ", ".join(row["patches"]) or "another day, nothing changed"
            console.print(f"{row['name']}: {row['title']} ({changes})", style="bold", markup=False)
            console.print(Padding(escape(row["why"]), (0, 0, 0, 2)))

    Say(as_json, quiet).result(rows, show)
