"""Finds plans in files and in the running service, and writes them as rows."""

import csv
import io
from pathlib import Path

from models.base import iso
from models.plan import Plan, SitePlan
from models.problem import Problem
from models.reading import parse
from service.cli.exits import usage
from service.cli.inputs import read_plan, refusing


def find_plan(word: str) -> Plan:
    """Return the plan of a file, or the one that the running service knows by an id or as `latest`."""
    if is_file(word):
        return read_plan(word)
    from service.cli.running import running

    with refusing(f"the service's answer to plan {word}"):
        return parse(Plan, running().get(f"/v1/plans/{word}"))


def problem_of(word: str) -> Problem:
    """Return the problem that a plan of the running service answers.

    Raises:
        CommandError: the plan is a file, which does not hold its problem (exit 2).
    """
    if is_file(word):
        raise usage(f"{word} holds a plan without its problem; only the running service keeps both")
    from service.cli.running import running

    with refusing(f"the service's answer to the problem of plan {word}"):
        return parse(Problem, running().get(f"/v1/plans/{word}/problem"))


def is_file(word: str) -> bool:
    """Whether a word names a file rather than a plan of the service."""
    return word == "-" or Path(word).suffix.lower() in (".json", ".yaml", ".yml") or Path(word).exists()


def as_csv(plan: Plan) -> str:
    """Return one row a site and step: watts at the meter by use, blocks by group and mode, nodes by pool."""
    table = io.StringIO()
    counts = sorted({name for site in plan.sites.values() for name in counts_of(site, 0)})
    writer = csv.DictWriter(
        table,
        ["site", "start", "duration_s", "limit_w", "draw_w", "hashing_w", "inference_w", *counts],
        restval="",
        lineterminator="\n",
    )
    writer.writeheader()
    for name, site in plan.sites.items():
        for t, (start, length_s) in enumerate(zip(plan.grid.starts, plan.grid.step_s, strict=True)):
            watts = {
                "limit_w": site.limit_w[t],
                "draw_w": site.draw_w[t],
                "hashing_w": site.hashing_w[t],
                "inference_w": site.inference_w[t],
            }
            writer.writerow({"site": name, "start": iso(start), "duration_s": length_s} | watts | counts_of(site, t))
    return table.getvalue()


def counts_of(site: SitePlan, t: int) -> dict[str, int]:
    """Return the integers that a site is told for a step, by column name."""
    blocks = {f"{group}.{mode}_blocks": n[t] for group, plan in site.groups.items() for mode, n in plan.mode_blocks.items()}
    warm = {f"{pool}.nodes_warm": plan.nodes_warm[t] for pool, plan in site.pools.items() if plan.nodes_warm is not None}
    return blocks | {f"{pool}.nodes_on": plan.nodes_on[t] for pool, plan in site.pools.items()} | warm
