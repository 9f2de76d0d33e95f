"""What of a back-test's specification does not exist, found before its job is queued; no data is read."""

from collections.abc import Iterator

from models.reading import Refusal
from scenarios.backtest.histories import FLEET, HISTORIES, spec_of
from scenarios.backtest.places import fleet_at
from scenarios.backtest.records import BacktestSpec

HOUR_S = 3600


def misfits(spec: BacktestSpec) -> Iterator[Refusal]:
    """Give every field that names what is not there, or more than there is, each with what there is."""
    if spec.history not in HISTORIES:
        yield _misfit("/history", "unknown_history", f"expected one of {', '.join(HISTORIES)}, got {spec.history}")
        return
    if spec.fleet != FLEET:
        yield _misfit("/fleet", "unknown_fleet", f"expected {FLEET}, on which histories are replayed, got {spec.fleet}")
    if spec.step_s != HOUR_S:
        words = f"expected {HOUR_S} s, as histories are replayed by the hour, got {spec.step_s}"
        yield _misfit("/step_s", "wrong_step", words)
    yield from _of_markets(spec)
    yield from _of_sites(spec)


def _of_markets(spec: BacktestSpec) -> Iterator[Refusal]:
    """Refuse markets other than the history's own: all of them, or none where a specification leaves them out."""
    there = spec_of(spec.history).markets
    if spec.markets in ((), there):
        return
    known = ", ".join(f"{one.market} as {one.index}" for one in there)
    said = f"expected {known}, as the named period {spec.history} has them, or none"
    foreign = [n for n, one in enumerate(spec.markets) if one not in there]
    for n in foreign:
        one = spec.markets[n]
        yield _misfit(f"/markets/{n}", "unknown_market", f"{said}; got {one.market} as {one.index}")
    if not foreign:
        yield _misfit("/markets", "unknown_market", f"{said}; got {', '.join(one.market for one in spec.markets)}")


def _of_sites(spec: BacktestSpec) -> Iterator[Refusal]:
    """Refuse more sites than the fleet has, or than buy at the history's markets."""
    named = HISTORIES[spec.history]
    try:
        sites = fleet_at(named.place, spec.sites).sites
    except ValueError as error:
        yield _misfit("/sites", "too_many_sites", str(error).removeprefix("sites: "))
        return
    most = next((n for n, site in enumerate(sites) if not set(site.price_names) <= named.markets.keys()), len(sites))
    if most < len(sites):
        words = f"expected at most {most}, of which every one buys at {' or '.join(named.markets)}, got {len(sites)}"
        yield _misfit("/sites", "too_many_sites", words)


def _misfit(pointer: str, code: str, words: str) -> Refusal:
    return Refusal(pointer=pointer, code=code, detail=words)
