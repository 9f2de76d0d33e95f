"""Tells the kinds of document apart, for whoever hands one to a command that takes another."""

from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A kind of document: its record, what people call it, fields that no other has together, and the command that takes it."""

    record: str
    what: str
    marks: frozenset[str]
    command: str = ""


KINDS = (
    Kind("BacktestReport", "report of a back-test", frozenset({"spec", "policies", "regret"}), "backtest show"),
    Kind("BacktestSpec", "period to back-test", frozenset({"history", "steps", "window_steps"}), "backtest run"),
    Kind("Problem", "problem", frozenset({"grid", "fleet", "state"}), "plan run"),
    Kind("Plan", "plan", frozenset({"grid", "sites", "proof"}), "plan show"),
    Kind("Comparison", "comparison of two plans", frozenset({"before", "after", "profit_by_term_usd"})),
    Kind("SetComparison", "comparison of what-ifs", frozenset({"base_plan_id", "rows"})),
    Kind("FuturesPlan", "answer to scenarios", frozenset({"futures_name", "cvar_usd"})),
    Kind("SetPoint", "set-point document", frozenset({"site", "steps", "failsafe"})),
    Kind("Fleet", "fleet", frozenset({"sites", "workloads"}), "fleet validate"),
    Kind("SeriesIn", "declared series", frozenset({"declaration", "points"}), "series import"),
)


def another_kind(content: Any, wanted: str) -> str | None:
    """Return in words that a document is of another kind than the record wanted; None where it is none of those known."""
    if not isinstance(content, dict):
        return None
    found = next((kind for kind in KINDS if kind.marks <= content.keys()), _of_scenarios(content))
    if found is None or found.record == wanted:
        return None
    return f"it is a {found.what}" + (f", which `wattsplit {found.command}` takes" if found.command else "")


def _of_scenarios(content: dict[str, Any]) -> Kind | None:
    scenarios = content.get("scenarios")
    if not isinstance(scenarios, list) or not all(isinstance(one, dict) for one in scenarios):
        return None
    if any("probability_ppm" in one for one in scenarios):
        return Kind("WrittenFutures", "file of scenarios", frozenset(), "plan run --scenarios")
    return Kind("WhatIfs", "list of what-ifs", frozenset(), "scenario sweep")
