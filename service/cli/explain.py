"""`wattsplit plan explain`: why a plan does what it does at a site in a step."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.exits import CommandError, Exit, usage
from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from rich.console import Console

    from models.explanation import Explanation

PRICES_S, SITE_S = 60.0, 60.0
MORE_OF_SERVICE = (
    "for more time: export the plan (`wattsplit plan export`, also --format problem), explain the files with --budget"
)


def explain(
    problem: Annotated[
        str,
        typer.Argument(metavar="PROBLEM|PLAN", help="A problem in JSON or YAML; or a plan of the running service, as `latest`."),
    ],
    site: Annotated[str, typer.Option(help="Name of the site.")],
    step: Annotated[int, typer.Option(min=0, help="Step of the plan, counted from 0.")],
    plan: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="The plan file that answers the problem.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Most time for the site's alternatives, of files only: PT60S if absent, PT2M, or seconds.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what one more MW is worth at a site in a step, what the next best use would have changed, and which rules bind.

    Examples: `wattsplit plan explain problem.json plan.json --site pecos --step 3` · `… explain latest --site pecos --step 3`
    """
    from service.cli.durations import seconds

    if plan is None and budget is not None:
        raise usage("--budget is for a problem and a plan in files: the service has its own time for an explanation")
    budget_s = SITE_S if budget is None else seconds(budget)
    told = _of_service(problem, site, step) if plan is None else _of_files(problem, plan, site, step, budget_s)
    say = Say(as_json, quiet)
    say.result(told.model_dump(mode="json"), lambda console: show_explanation(told, console))
    if not told.is_whole:
        say.note(MORE_OF_SERVICE if plan is None else f"for more time than {budget_s:g} s: --budget {2 * budget_s:g}")


def _of_service(word: str, site: str, step: int) -> "Explanation":
    from models.explanation import Explanation
    from models.reading import parse
    from service.cli.inputs import refusing
    from service.cli.plans import is_file
    from service.cli.running import running

    if is_file(word):
        raise usage(f"{word} is a file: give a problem and its plan, or an id or `latest` of the running service")
    with refusing(f"the service's answer to an explanation of plan {word}"):
        return parse(Explanation, running().get(f"/v1/plans/{word}/explanations", site=site, step=step))


def _of_files(problem: str, plan: str, site: str, step: int, budget_s: float) -> "Explanation":
    from optimizer.explain import UnexplainedError, UnpricedError, ground
    from optimizer.explain import explain as explained
    from optimizer.worker import GIB
    from service.cli.exits import bad_input
    from service.cli.inputs import read_plan, read_problem

    try:
        on = ground(read_problem(problem), read_plan(plan), deadline_s=PRICES_S, memory_bytes=2 * GIB)
        return explained(on, site, step, deadline_s=budget_s)
    except UnexplainedError as error:
        raise bad_input(str(error)) from None
    except UnpricedError as error:
        raise CommandError(Exit.FAILED, str(error)) from None


def show_explanation(told: "Explanation", console: "Console") -> None:
    """Print an explanation: the reason in one line, values of more power, alternatives, break-evens, values of work."""
    from rich.markup import escape

    from service.cli.tables import table_of

    console.print(f"[b]{told.site}[/b], step {told.step}, {told.start:%Y-%m-%d %H:%M} UTC of {told.plan_id}")
    console.print(told.reason, markup=False, soft_wrap=True)
    power = table_of("One more MW here", ["what"], ["USD/MWh"])
    power.add_row("marginal: counts as they are, modes split continuously", _figure(told.marginal_usd_per_mwh))
    block = told.next_block
    power.add_row(f"next block: the site decided anew with {block.block_w / 1e6:.3f} MW more", _figure(block.value_usd_per_mwh))
    console.print(power)
    others = table_of("Other uses of this step, forced", ["use"], ["change of the profit $", "±"])
    for other in told.alternatives:
        others.add_row(escape(other.words), _figure(other.change_usd), _sure(other.change_usd, _figure(other.plus_minus_usd)))
    console.print(others)
    evens = table_of("Break-evens", ["group", "mode"], ["power $/MWh", "step up $/MWh", "hashprice $/PH/day"])
    for at in told.break_evens:
        figures = (at.power_usd_per_mwh, at.step_up_usd_per_mwh, at.hashprice_usd_per_ph_day)
        evens.add_row(at.group, at.mode, *(f"{figure:,.2f}" for figure in figures))
    if told.break_evens:
        console.print(evens)
        now = f"{told.energy_usd_per_mwh:,.2f} $/MWh and {told.hashprice_usd_per_ph_day:,.2f} $/PH/day"
        console.print(f"in this step: {now}", markup=False)
    work = table_of("More work in this step, per million units", ["workload"], ["marginal $", "a node's work here $", "±"])
    for value in told.workloads:
        more = value.next_block
        value_here = None if more is None else more.value_usd_per_mwork
        sure = "–" if more is None else _sure(value_here, _price(more.plus_minus_usd_per_mwork))
        work.add_row(value.workload, _price(value.value_usd_per_mwork), _price(value_here), sure)
    sold = table_of("One more MW of a reserve", ["reserve", "block"], ["sold kW", "marginal $/MW-h", "next MW $/MW-h", "±"])
    for each in told.reserves:
        name = f"{each.reserve} ({'awarded' if each.is_award else 'offered'})"
        next_mw = _figure(each.next_mw_usd_per_mw_h) if each.fits else "does not fit"
        worth = (_figure(each.marginal_usd_per_mw_h), next_mw, _figure(each.plus_minus_usd_per_mw_h))
        sold.add_row(name, f"{each.start:%Y-%m-%d %H:%M}", f"{each.kw:,}", *worth)
    if told.reserves:
        console.print(sold)
    if told.workloads:
        console.print(work)
    missing = [f"time did not suffice for: {', '.join(told.missing)}"] if told.missing else []
    for note in (*told.notes, *missing):
        console.print(f"[dim]{escape(note)}[/dim]")


def _sure(value: float | None, plus_minus: str) -> str:
    """Return how sure a figure is, where there is one."""
    return "–" if value is None else plus_minus


def _price(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 4) + 0.0:,.4f}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:,.2f}"
