"""`wattsplit schema`: the JSON Schema of what goes in and comes out."""

from typing import Annotated, Literal

import typer

from service.cli.say import Say

Kind = Literal["problem", "fleet", "plan", "setpoint", "scenarios", "what-ifs", "feeds"]


def schema(kind: Annotated[Kind, typer.Argument(help="Which document.")]) -> None:
    """Print the JSON Schema of a problem, fleet, plan, set-point document, file of scenarios, of what-ifs or of feeds.

    Example: `wattsplit schema problem > problem.schema.json`
    """
    from models.base import Record
    from models.fleet import Fleet
    from models.plan import Plan
    from models.problem import Problem
    from models.setpoint import SetPoint
    from scenarios.futures_file import WrittenFutures
    from scenarios.scenario_sets import WhatIfs
    from service.feeds.feeds_file import FeedsFile

    records: dict[Kind, type[Record]] = {
        "problem": Problem, "fleet": Fleet, "plan": Plan, "setpoint": SetPoint, "scenarios": WrittenFutures,
        "what-ifs": WhatIfs, "feeds": FeedsFile,
    }  # fmt: skip
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"wattsplit {kind}"}
    content = named | (records[kind].model_json_schema() | named)
    Say(as_json=True).result(content, lambda _: None)
