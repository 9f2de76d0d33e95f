"""What a back-test is asked: a named period or a specification of its own, and whether the data for it is here."""

from collections.abc import Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from models.base import Count, Instant, Name, Record, Text
from models.reading import BadInputError, parse, refuse
from scenarios.backtest.histories import HISTORIES, spec_of
from scenarios.backtest.records import BacktestSpec
from scenarios.markets import demand, market, network, weather
from service.backtesting.misfits import misfits

NEEDS_DATA = "needs the folder of larger data that WATTSPLIT_DATA names"
DAY_S = 86_400
COMMITTED = "storm"
"""The history that stands in the code."""


class Period(Record):
    """A named period: when, how long, which markets; `absent` says in words what of its data is not here."""

    name: Name
    title: Text
    start: Instant
    days: Count
    sites: Count
    markets: tuple[Text, ...]
    absent: Text = ""


def periods(data: Path | None) -> tuple[Period, ...]:
    """Return the named periods; `data` is the folder of larger data, if there is one."""
    found = []
    for name, named in HISTORIES.items():
        spec = spec_of(name)
        days = timedelta(seconds=spec.steps * spec.step_s) // timedelta(days=1)
        markets = tuple(dict.fromkeys(m.market for m in spec.markets))
        found.append(
            Period(
                name=name, title=named.title, start=spec.start, days=days, sites=spec.sites, markets=markets,
                absent=absent(name, data),
            )
        )  # fmt: skip
    return tuple(found)


def absent(history: str, data: Path | None) -> str:
    """Return in words what of a history's data is not here; nothing where all of it is."""
    if history == COMMITTED:
        return ""
    if data is None:
        return NEEDS_DATA
    if not data.is_dir():
        return f"{NEEDS_DATA}: {data} is no folder"
    if find_spec("pyarrow") is None:
        return "its data is Parquet, which needs pyarrow: install wattsplit[parquet]"
    named = HISTORIES[history]
    prices = {f"prices/{market(name).file}.parquet" for pair in named.markets.values() for name in pair if name}
    needed = sorted(prices | {network.FILE, weather.FILE, demand.BURSTGPT})
    missing = [file for file in needed if not (data / file).is_file()]
    return f"not in the folder of larger data: {', '.join(missing)}" if missing else ""


def asked_spec(
    period: str, *, days: int | None = None, policies: Sequence[str] | None = None, knowledge: str | None = None, at: str = ""
) -> BacktestSpec:
    """Return the specification of a named period with what is asked otherwise.

    Raises:
        BadInputError: no such period, policy or knowledge, or more days than it has; pointers begin with `at`.
    """
    if period not in HISTORIES:
        refuse("unknown_period", f"expected one of {', '.join(HISTORIES)}, got {period[:100]!r}", f"{at}/period")
    return changed(spec_of(period), days=days, policies=policies, knowledge=knowledge, at=at)


def changed(
    spec: BacktestSpec, *, days: int | None = None, policies: Sequence[str] | None = None, knowledge: str | None = None,
    at: str = "",
) -> BacktestSpec:  # fmt: skip
    """Return a specification of its first days only, of other policies, or of other knowledge.

    Raises:
        BadInputError: no such policy or knowledge, or more days than it has; pointers begin with `at`.
    """
    asked: dict[str, Any] = spec.model_dump(mode="json")
    most = spec.steps * spec.step_s // DAY_S
    if days is not None and not 1 <= days <= most:
        refuse("outside_period", f"expected 1 to {most} days of {spec.name}, got {days}", f"{at}/days")
    asked |= {"steps": days * DAY_S // spec.step_s} if days is not None else {}
    asked |= {"policies": list(policies)} if policies is not None else {}
    asked |= {"knowledge": knowledge} if knowledge is not None else {}
    return placed(asked, at)


def placed(content: Any, at: str = "") -> BacktestSpec:
    """Return a specification of one's own.

    Raises:
        BadInputError: every fault; pointers begin with `at`.
    """
    try:
        return parse(BacktestSpec, content)
    except BadInputError as error:
        raise BadInputError([r.model_copy(update={"pointer": f"{at}{r.pointer}"}) for r in error.refusals]) from None


def with_data(spec: BacktestSpec, data: Path | None, at: str = "") -> BacktestSpec:
    """Return a specification whose data is here.

    Raises:
        BadInputError: no such history, fleet, market or number of sites, or data that is absent, in words.
    """
    if wrong := list(misfits(spec)):
        raise BadInputError([one.model_copy(update={"pointer": f"{at}{one.pointer}"}) for one in wrong])
    if words := absent(spec.history, data):
        refuse("no_data", f"{spec.history}: {words}", at)
    return spec
