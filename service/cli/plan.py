"""`wattsplit plan`: make, list, show, explain, compare, audit and export plans."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.cli.amounts import share
from service.cli.exits import Exit, usage
from service.cli.explain import explain
from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from models.plan import Plan
    from models.problem import Problem

app = typer.Typer(help="Make, list, show, explain, compare, audit and export plans.", no_args_is_help=True)
app.command()(explain)

PlanWord = Annotated[str, typer.Argument(metavar="PLAN", help="A plan file, or an id or `latest` of the running service.")]
ProblemWord = Annotated[
    str, typer.Argument(metavar="PROBLEM", help="A problem in JSON or YAML, - for JSON from standard input, or `reference`.")
]
Gap = Annotated[
    float, typer.Option(parser=share, metavar="SHARE", help="Relative gap at which to stop: 0.005, or 0.5%, of the profit.")
]
Budget = Annotated[str, typer.Option(help="Most time for the optimiser: PT120S, 2min, or seconds.")]


@app.command()
def run(
    problem: ProblemWord,
    gap: Gap = 5e-3,
    budget: Budget = "PT120S",
    out: Annotated[Path | None, typer.Option(help="Where to write the plan (JSON).")] = None,
    problem_out: Annotated[Path | None, typer.Option(help="Where to write the problem (JSON), as `plan audit` takes it.")] = None,
    second_opinion: Annotated[
        bool, typer.Option("--second-opinion", help="Let SCIP solve the same problem too; exit 1 if the two do not fit together.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Diagnose what pins or the state contradict (exit 4); else that gives way by rule.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that share out the sites; the plan does not depend on it.")
    ] = 1,
    engine: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Dask cluster, tcp://host:port, whose workers share out the sites instead."),
    ] = None,
    scenarios: Annotated[
        str | None,
        typer.Option(help="A file of scenarios with probabilities: decide now for all of them, and plan what each makes of it."),
    ] = None,
    cvar_weight: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of the worst scenarios against the expected profit; 1: they alone count.")
    ] = 0.0,
    cvar_level: Annotated[
        float, typer.Option(min=0, max=0.999, help="Which are the worst: 0.95 is the worst twentieth, by probability.")
    ] = 0.95,
    knowledge: Annotated[
        bool, typer.Option("--knowledge", help="Also say what planning for scenarios, and knowing the future, is worth.")
    ] = False,
    scenarios_out: Annotated[
        Path | None, typer.Option(help="Where to write the answer to the scenarios (JSON): figures, and a plan for each.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Plan one problem, without a service: optimised, audited, with its proof; the rule plan if time runs out (exit 5).

    Examples: `wattsplit plan run reference --workers 2` · `wattsplit plan run problem.yaml --gap 1e-3 --out plan.json` ·
    `wattsplit plan run reference --engine tcp://10.0.0.5:8786` ·
    `wattsplit plan run reference --scenarios futures.yaml --cvar-weight 0.3` (template: scenarios/template_futures.yaml)
    """
    from models.futures import Risk
    from service.cli.durations import seconds
    from service.cli.inputs import before_writing, read_problem, write
    from service.cli.offline import make_plan
    from service.cli.tables import show_plan

    say = Say(as_json, quiet)
    budget_s = seconds(budget)
    if engine is not None:
        cluster(engine)
    before_writing(out, problem_out, scenarios_out)
    given = read_problem(problem)
    say.note(f"{given.name}: {len(given.fleet.sites)} sites × {given.grid.steps} steps, gap {gap:g}, at most {budget_s:g} s")
    if problem_out is not None:
        write(problem_out, given.model_dump_json(indent=1) + "\n")
        say.note(f"wrote {problem_out}")
    if scenarios is not None:
        from service.cli.futures import Asked, run_futures

        if second_opinion or strict or workers > 1 or engine is not None:
            raise usage("--second-opinion, --strict, --workers and --engine are for a plan without --scenarios")
        risk = Risk(weight_share=cvar_weight, level_share=cvar_level)
        run_futures(given, Asked(scenarios, risk, knowledge, gap, budget_s, out, scenarios_out), say)
        return
    if knowledge or cvar_weight or scenarios_out is not None:
        raise usage("--knowledge, --cvar-weight and --scenarios-out need --scenarios FILE")
    made = make_plan(given, gap=gap, budget_s=budget_s, say=say, title="plan", strict=strict, workers=workers, engine=engine)
    if out is not None:
        write(out, made.plan.model_dump_json(indent=1) + "\n")
        say.note(f"wrote {out}")
    say.result(made.plan.model_dump(mode="json"), lambda console: show_plan(made.plan, console))
    if made.exit is not Exit.DONE:
        say.warn(made.warning)
        raise typer.Exit(made.exit)
    if second_opinion:
        ask_another(given, made.plan, gap=gap, deadline_s=budget_s, say=say)


def cluster(engine: str) -> None:
    """Refuse what is no address of a cluster, before anything is read."""
    from optimizer.engine_url import engine_url

    try:
        engine_url(engine)
    except ValueError as error:
        raise usage(f"--engine: {error}") from None


def ask_another(problem: "Problem", plan: "Plan", *, gap: float, deadline_s: float, say: Say) -> None:
    """Say what a second solver makes of the problem; end with exit 1 where the two contradict each other."""
    from optimizer.second_opinion import second_opinion

    say.note("asking SCIP for a second opinion …")
    opinion = second_opinion(problem, plan, gap=gap, deadline_s=deadline_s)
    told = f"second opinion {opinion.verdict}, {opinion.wall_s:.1f} s: {opinion.words}"
    if opinion.verdict == "agrees":
        say.note(told)
        return
    say.warn(told)
    if opinion.verdict == "disagrees":
        raise typer.Exit(Exit.FAILED)


@app.command()
def audit(
    problem: ProblemWord,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan file.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check a plan against its problem in plain arithmetic; every broken rule is listed in words (exit 6).

    Example: `wattsplit plan audit problem.json plan.json`
    """
    from optimizer.audit import audit as read_again
    from service.cli.inputs import read_plan, read_problem

    report = read_again(read_problem(problem), read_plan(plan))
    lines = [f"broken: {words}" for words in report.broken] or [f"{plan} keeps all {len(report.rules_checked)} rules"]
    Say(as_json, quiet).result(
        report.model_dump(mode="json"), lambda console: console.print("\n".join(lines), markup=False, soft_wrap=True)
    )
    if not report.passed:
        raise typer.Exit(Exit.REFUSED)


@app.command()
def show(plan: PlanWord = "latest", as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show a plan as a table: what each site does with its megawatts, and where the money comes from.

    Examples: `wattsplit plan show` · `wattsplit plan show plan.json`
    """
    from service.cli.plans import find_plan
    from service.cli.tables import show_plan

    found = find_plan(plan)
    Say(as_json, quiet).result(found.model_dump(mode="json"), lambda console: show_plan(found, console))


@app.command("list")
def list_(
    what_ifs: Annotated[bool, typer.Option("--what-ifs", help="Plans that answered what-ifs, not those of the fleet.")] = False,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the plans of the running service: when each was made, for which hours, what it earns and how sure that is.

    Examples: `wattsplit plan list` · `wattsplit plan list --last 100` · `wattsplit plan list --what-ifs`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table, usd

    heads = list(islice(running().list("/v1/plans", purpose="scenario" if what_ifs else "fleet"), last))
    rows = [head | {"profit, USD": usd(head["profit_usd"]), "gap, %": gap_of(head)} for head in heads]
    columns = ("plan_id", "basis", "created_at", "starts", "ends", "sites", "profit, USD", "gap, %", "labels")
    Say(as_json, quiet).result(heads, lambda console: console.print(rows_table(rows, columns)))


def gap_of(head: Mapping[str, Any]) -> str | None:
    """Write the gap that a plan is proved to be within; nothing where no bound is claimed."""
    return None if head.get("gap_percent") is None else f"{head['gap_percent']:.3g}"


@app.command()
def diff(
    before: PlanWord,
    after: PlanWord = "latest",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what changed from one plan to another: profit by term with its ±, energy by use, by site.

    Example: `wattsplit plan diff monday.json tuesday.json`
    """
    from scenarios.compare import compare
    from service.cli.differences import show_comparison
    from service.cli.inputs import refusing
    from service.cli.plans import find_plan

    with refusing("the comparison"):
        found = compare(find_plan(before), find_plan(after))
    Say(as_json, quiet).result(found.model_dump(mode="json"), lambda console: show_comparison(found, console))


@app.command()
def export(
    plan: PlanWord = "latest",
    form: Annotated[
        Literal["csv", "json", "problem"],
        typer.Option("--format", help="csv: a row per site and step; json: the plan; problem: what it answers (service only)."),
    ] = "csv",
    out: Annotated[Path | None, typer.Option(help="Where to write it; standard output if absent.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write a plan for other programs.

    Examples: `wattsplit plan export plan.json --out plan.csv` · `… plan export latest --format problem --out problem.json`
    """
    from service.cli.inputs import write
    from service.cli.plans import as_csv, find_plan, problem_of

    if form == "problem":
        text = problem_of(plan).model_dump_json(indent=1) + "\n"
    else:
        found = find_plan(plan)
        text = as_csv(found) if form == "csv" else found.model_dump_json(indent=1) + "\n"
    if out is None:
        print(text, end="")
        return
    write(out, text)
    Say(quiet=quiet).note(f"wrote {out}")
