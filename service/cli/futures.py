"""`wattsplit plan run --scenarios`: one set of decisions for now, over futures with probabilities."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from models.base import iso
from models.futures import CERTAIN_PPM, Futures, Risk
from models.futures_plan import FuturesPlan, ScenarioPlan
from models.problem import Problem
from optimizer.futures import optimise_futures
from optimizer.futures_answer import FuturesResult
from scenarios.futures_file import WrittenFutures, futures_of
from service.cli.exits import CommandError, Exit
from service.cli.inputs import content_of, parse_document, parsed, refusing, write
from service.cli.offline import conflict, fallback, refused
from service.cli.progress import watching
from service.cli.say import Say
from service.cli.tables import show_plan, table_of, usd

TERMS: dict[str, tuple[str, ...]] = {
    "hashing $": ("hashing_revenue",),
    "inference $": ("inference_revenue", "reserved_revenue"),
    "energy $": ("energy_cost", "tier_cost", "block_cost", "resale_revenue"),
    "unserved, late $": ("unserved_penalty", "late_penalty"),
}
"""Columns of the table of scenarios; all other terms stand together in `other $`."""


@dataclass(frozen=True)
class Asked:
    """What the command was asked for beside the problem."""

    source: str
    risk: Risk
    knowledge: bool
    gap: float
    budget_s: float
    out: Path | None
    scenarios_out: Path | None


def run_futures(problem: Problem, asked: Asked, say: Say) -> None:
    """Plan a problem over the futures of a file, and say what came of it.

    Raises:
        CommandError: the file is refused (exit 3), no decisions suit all scenarios (4), or the audit refuses a plan (6).
        typer.Exit: no answer in time; the rule plan is written (5).
    """
    futures = read_futures(asked.source, problem)
    for warning in problem.warnings():
        say.warn(warning)
    say.note(f"{futures.name}: {len(futures.scenarios)} scenarios over {problem.name}")
    now = datetime.now(UTC).replace(microsecond=0)
    with watching(say, "plan", asked.budget_s) as watch:
        result = optimise_futures(
            problem, futures, asked.risk, gap=asked.gap, budget_s=asked.budget_s, now=now,
            knowledge=asked.knowledge, progress=watch,
        )  # fmt: skip
    if result.found is None:
        _without_answer(result, problem, asked, now, say)
        return
    found = result.found
    for path, record in ((asked.out, found.plan), (asked.scenarios_out, found)):
        if path is not None:
            write(path, record.model_dump_json(indent=1) + "\n")
            say.note(f"wrote {path}")
    say.result(found.model_dump(mode="json"), lambda console: show_futures(found, console))


def read_futures(source: str, problem: Problem) -> Futures:
    """Return the futures of a JSON or YAML file, every series in full.

    Raises:
        CommandError: no such file, or one that is refused, with every fault (exit 3).
    """
    raw = content_of(source, "file of scenarios")
    with refusing(f"{source} as scenarios"):
        return futures_of(parsed(WrittenFutures, parse_document(source, raw)), problem)


def _without_answer(result: FuturesResult, problem: Problem, asked: Asked, now: datetime, say: Say) -> None:
    if result.ending == "infeasible":
        raise conflict(result.diagnosis) if result.diagnosis else CommandError(Exit.CONFLICT, result.why)
    if result.ending == "refused":
        raise refused("a plan of the scenarios", result.broken)
    warning = f"no plan for all scenarios within {asked.budget_s:g} s: {result.why}; this is the rule plan"
    plan = fallback(problem, now, warning)
    if asked.out is not None:
        write(asked.out, plan.model_dump_json(indent=1) + "\n")
        say.note(f"wrote {asked.out}")
    say.result(plan.model_dump(mode="json"), lambda console: show_plan(plan, console))
    say.warn(warning)
    raise typer.Exit(Exit.NO_OPTIMUM)


def show_futures(found: FuturesPlan, console: Console) -> None:
    """Print an answer: how good it is, each scenario, what knowing more is worth, and the plan for now."""
    for line in headline(found):
        console.print(line, highlight=False)
    console.print(scenario_table(found))
    for line in knowledge_lines(found):
        console.print(line, highlight=False)
    console.print("\n[b]The plan[/b] of the base problem, which holds what is decided now:")
    show_plan(found.plan, console)


def headline(found: FuturesPlan) -> list[str]:
    """Return what a reader must know first."""
    risk, worst = found.risk, f"the worst {100 * (1 - found.risk.level_share):g} %"
    goal = "expected profit" if not risk.weight_share else f"{1 - risk.weight_share:g} × expected + {risk.weight_share:g} × CVaR"
    proof = f"gap {found.gap_percent:.3g} % ({usd(found.gap_usd or 0)} USD)" if found.gap_percent is not None else "no bound"
    return [
        f"[b]{found.futures_name}[/b] · {len(found.scenarios)} scenarios · {found.solved}",
        f"decided now, whatever comes: machines on until {_until(found, found.commitment_steps)}, "
        f"set-points until {_until(found, found.set_point_steps)}",
        f"expected profit [b]{usd(found.expected_usd)} USD[/b] · {worst} (CVaR) {usd(found.cvar_usd)} USD · "
        f"goal {goal}: {usd(found.objective_usd)} USD · {found.status} · {proof} · {found.wall_s:.1f} s",
    ]


def _until(found: FuturesPlan, steps: int) -> str:
    grid = found.plan.grid
    return "the start" if not steps else iso(grid.starts[steps - 1] + timedelta(seconds=grid.step_s[steps - 1]))


def scenario_table(found: FuturesPlan) -> Table:
    """Return one row a scenario: probability, profit, and where it comes from."""
    table = table_of("Scenarios, each with its own recourse, audited", ["scenario"], ["prob. %", "profit $", *TERMS, "other $"])
    for scenario in found.scenarios:
        table.add_row(scenario.name, f"{scenario.probability_ppm / 1e4:g}", *map(usd, figures(scenario)))
    weights = [scenario.probability_ppm / CERTAIN_PPM for scenario in found.scenarios]
    columns = zip(*map(figures, found.scenarios), strict=True)
    table.add_section()
    means = [sum(w * amount for w, amount in zip(weights, column, strict=True)) for column in columns]
    table.add_row("expected", "100", *map(usd, means))
    return table


def figures(scenario: ScenarioPlan) -> list[float]:
    """Return the profit of a scenario, its parts by column, and what is left. [USD]."""
    parts = [sum(scenario.profit_by_term_usd.get(term, 0.0) for term in terms) for terms in TERMS.values()]
    return [scenario.profit_usd, *parts, scenario.profit_usd - sum(parts)]


def knowledge_lines(found: FuturesPlan) -> list[str]:
    """Return what the scenarios, and knowing the future, are worth; nothing where that was not asked."""
    if (known := found.knowledge) is None:
        return []
    values = (
        ("planning for scenarios rather than for their mean", known.stochastic_usd, known.stochastic_plus_minus_usd),
        ("knowing which scenario comes", known.perfect_usd, known.perfect_plus_minus_usd),
    )
    lines = [f"{what} is worth [b]{usd(amount)}[/b] ± {usd(by)} USD" for what, amount, by in values if amount is not None]
    return [*lines, *known.words]
