"""`wattsplit scenario sweep`: many what-ifs over one base, compared in one table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from service.cli.exits import CommandError, Exit, usage
from service.cli.plan import Budget, Gap
from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from models.plan import Plan
    from models.problem import Problem
    from scenarios.scenario_sets import SetComparison, WhatIfs

FORMATS = (".xlsx", ".csv", ".json")
COLUMNS = ("scenario", "ending", "profit USD", "difference USD", "± USD", "decisions changed", "changes")


def sweep(
    problem: Annotated[str, typer.Argument(metavar="BASE", help="A problem file, or `reference`.")],
    what_ifs: Annotated[str, typer.Argument(metavar="FILE", help="What-ifs in YAML or JSON, see `schema what-ifs`.")],
    gap: Gap = 5e-3,
    budget: Budget = "PT120S",
    attribute: Annotated[bool, typer.Option("--attribute", help="Also find what each change adds to those before it.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where to write the comparison: NAME.xlsx, NAME.csv or NAME.json.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Plan a base once and every what-if of a file, each within the budget, and compare all with the base.

    A what-if without a plan stands in the table with the reason (exit 4 or 5). A file may hold, for example,
    {"scenarios": [{"name": "cheap", "set": ["hashprice=-20%"]}, {"name": "dear", "set": ["energy_price=+20"]}]}

    Example: `wattsplit scenario sweep reference what_ifs.yaml --attribute --out sweep.xlsx`
    """
    from service.cli.differences import signed
    from service.cli.durations import seconds
    from service.cli.inputs import before_writing, content_of, parse_document, parsed, read_problem, refusing
    from service.cli.tables import rows_table, usd

    if out is not None and out.suffix.lower() not in FORMATS:
        raise usage(f"--out: expected a name that ends in {', '.join(FORMATS)}, got {out}")
    before_writing(out)
    from scenarios.scenario_sets import WhatIfs

    say, budget_s = Say(as_json, quiet), seconds(budget)
    base = read_problem(problem)
    with refusing(f"{what_ifs} as what-ifs"):
        wanted = parsed(WhatIfs, parse_document(what_ifs, content_of(what_ifs, "list of what-ifs")))
        wanted = wanted.model_copy(update={"attribute": wanted.attribute or attribute})
        changed = _changed(base, wanted)
    found, plans, worst = _compared(base, wanted, changed, gap, budget_s, say)
    if out is not None:
        _write(out, found, plans, Path(what_ifs).stem)
        say.note(f"wrote {out}")
    rows = [{"scenario": "base", "ending": "planned", "profit USD": usd(found.base_profit_usd)}]
    for row in found.rows:
        cells = {"scenario": row.name, "ending": row.ending, "changes": ", ".join(row.changes)}
        if row.profit_usd is not None:
            cells |= {"profit USD": usd(row.profit_usd.after), "difference USD": signed(row.profit_usd.difference)}
            cells |= {"± USD": "unknown" if row.plus_minus_usd is None else usd(row.plus_minus_usd)}
            cells |= {"decisions changed": f"{row.decisions_changed}"}
        rows.append(cells)

    def show(console: Console) -> None:
        console.print(rows_table(rows, COLUMNS))
        for note in found.notes:
            console.print(note, markup=False)
        for row in found.rows:
            for part in row.attribution:
                sure = "± unknown" if part.plus_minus_usd is None else f"± {usd(part.plus_minus_usd)} USD"
                console.print(f"{row.name}: {part.change} adds {signed(part.difference_usd)} USD {sure}", markup=False)
            if row.why:
                console.print(f"{row.name}: {row.ending}: {row.why}", markup=False)

    say.result(found.model_dump(mode="json"), show)
    if worst:
        raise typer.Exit(worst)


def _changed(base: "Problem", wanted: "WhatIfs") -> list[list["Problem"]]:
    """Return the changed problems of each what-if: with all its changes, or where it is to be attributed, one after the other.

    Raises:
        BadInputError: every change that cannot be read or made, with its place.
    """
    from models.reading import BadInputError, Refusal
    from scenarios.apply import apply_patches
    from scenarios.scenario_sets import placed

    refusals: list[Refusal] = []
    found = []
    for n, patches in enumerate(wanted.patches()):
        parts = [patches[: k + 1] for k in range(len(patches))] if wanted.attribute else [patches]
        try:
            found.append([apply_patches(base, part) for part in parts])
        except BadInputError as error:
            refusals += placed(error, n)
    if refusals:
        raise BadInputError(refusals)
    return found


def _compared(
    base: "Problem", wanted: "WhatIfs", changed: list[list["Problem"]], gap: float, budget_s: float, say: Say
) -> tuple["SetComparison", list[tuple[str, "Plan"]], Exit]:
    """Return the comparison, all plans with what they are of, and the worst ending.

    Raises:
        CommandError: the base has no optimised plan.
    """
    from scenarios.compare import notes_of, notes_of_change
    from scenarios.scenario_sets import SetComparison, SetRow, planned_row
    from service.cli.offline import make_plan

    first = make_plan(base, gap=gap, budget_s=budget_s, say=say, title="base")
    if first.exit is not Exit.DONE:
        raise CommandError(first.exit, f"nothing to compare with: {first.warning}")
    rows, plans, worst = [], [("base", first.plan)], Exit.DONE
    for one, problems in zip(wanted.scenarios, changed, strict=True):
        made: list[Plan] = []
        try:
            for problem in problems:
                title = one.name if len(problems) == 1 else f"{one.name}, change {len(made) + 1} of {len(problems)}"
                got = make_plan(problem, gap=gap, budget_s=budget_s, say=say, title=title)
                if got.exit is not Exit.DONE:
                    raise CommandError(got.exit, got.warning)
                made.append(got.plan)
        except CommandError as error:
            ending: Literal["infeasible", "failed"] = "infeasible" if error.code is Exit.CONFLICT else "failed"
            why = "; ".join([error.message, *(str(fault["detail"]) for fault in error.faults)])
            rows.append(SetRow(name=one.name, changes=one.set, ending=ending, why=why[:2000]))
            worst = max(worst, error.code)
            continue
        rows.append(planned_row(one, first.plan, made))
        plans.append((one.name, made[-1]))
    pairs = zip(wanted.scenarios, changed, strict=True)
    same = [f"{one.name}: {note}" for one, problems in pairs for note in notes_of_change(base, problems[-1])]
    found = SetComparison(
        base_plan_id=first.plan.plan_id, base_digest=base.digest, base_profit_usd=first.plan.profit_usd, rows=tuple(rows),
        notes=(*notes_of(first.plan), *same),
    )  # fmt: skip
    return found, plans, worst


def _write(out: Path, found: "SetComparison", plans: list[tuple[str, "Plan"]], name: str) -> None:
    from scenarios.scenario_sets import table_csv
    from service.cli.inputs import write
    from service.comparison_tables import PlanFacts, set_xlsx

    if out.suffix.lower() == ".json":
        write(out, found.model_dump_json(indent=1) + "\n")
    elif out.suffix.lower() == ".csv":
        write(out, table_csv(found))
    else:
        facts = [PlanFacts.of_plan(role, plan) for role, plan in plans]
        base = plans[0][1]
        write(out, set_xlsx(found, name=name, plans=facts, engine=base.engine, at=plans[-1][1].created_at))
