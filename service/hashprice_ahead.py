"""Continues a hashprice after what is told of it: the last value, at the difficulty that follows from the blocks so far.

Where feeds tell height, difficulty and fees of the network, the next retargets (and a halving) are a formula of the pace at
which blocks came (`models.network_path`). It is for a hashprice that is declared to be at the difficulty of when it was told,
and only while nobody has entered a change of the difficulty: no change counts twice.
"""

from datetime import datetime, timedelta

import numpy as np

from models.base import iso
from models.market import HASHES_PER_DIFFICULTY
from models.network_path import EPOCH_BLOCKS, HASHES_PER_PH, Chain, ChainPath, chain_path, hashprice_path
from models.time_grid import TimeGrid, hourly
from scenarios.local_clock import instant, seconds
from service.series_reading import Model
from service.store import Store
from service.store.series_records import SeriesDeclaration, SeriesKind, SeriesPoint

LOOK_BACK = timedelta(days=29)
"""Two epochs: the beginning of this one must lie in it."""
PACE = timedelta(days=7)
LEAST_PACE = timedelta(days=1)
OLDEST = timedelta(hours=6)
"""What is told of the network must be this new."""


def hashprice_ahead(store: Store, declared: SeriesDeclaration, now: datetime, grid: TimeGrid) -> Model | None:
    """Return the hashprice from the end of what is told until the end of a grid; None where the network is not known for it."""
    last = store.series.values(declared.name, now - LOOK_BACK, grid.end, known_by=now)
    if declared.difficulty != "constant" or not last:
        return None
    told = last[-1]
    if store.difficulty.standing(told.known_at, grid.end) or (known := _chain(store, now)) is None:
        return None
    chain, pace_ph_per_s, fees_btc = known
    end = told.start + timedelta(seconds=declared.resolution_s)
    first = instant(seconds(end.replace(microsecond=0)) // 3600 * 3600)
    if first < chain.at:
        first = instant(-(-seconds(chain.at.replace(microsecond=0)) // 3600) * 3600)
    hours = -(-int((grid.end - first).total_seconds()) // 3600)
    if hours < 1:
        return None
    ahead = hourly(first, hours)
    path = chain_path(chain, pace_ph_per_s, ahead.end)
    unit = (1.0,) * hours, (fees_btc,) * hours
    today = hashprice_path(hourly(first, 1), chain, ChainPath((), ()), (1.0,), (fees_btc,))[0]
    values = [told.value * one / today for one in hashprice_path(ahead, chain, path, *unit)]

    def value(at: datetime) -> float:
        return values[min(hours - 1, max(0, int((at - first).total_seconds()) // 3600))]

    return Model(min(end, first), ahead.end, value, _words(told, path))


def _words(told: SeriesPoint, path: ChainPath) -> str:
    changes = [f"{100 * step.change_share:+.1f} % at {iso(step.at.replace(microsecond=0))}" for step in path.retargets]
    halved = [f"a halving at {iso(step.at.replace(microsecond=0))}" for step in path.halvings]
    what = ", ".join(changes + halved) or "no change before the plan ends"
    return f"the last value known, {told.value:g}, at the difficulty that follows from the pace of the blocks ({what})"


def _chain(store: Store, now: datetime) -> tuple[Chain, float, float] | None:
    """Return where the chain stands, the hashrate of the last days, and the fees of a block; None where that is not known."""
    heights, difficulty, fees = (_told(store, kind, now) for kind in ("height", "difficulty", "fees"))
    if len(heights) < 2 or not difficulty or not fees or now - heights[-1].known_at > OLDEST:
        return None
    at = np.array([point.known_at.timestamp() for point in heights])
    blocks = np.array([point.value + 1 for point in heights])  # so many are there once the block of a height is
    epoch = int(blocks[-1]) // EPOCH_BLOCKS * EPOCH_BLOCKS
    if blocks[0] > epoch or at[-1] - at[0] < LEAST_PACE.total_seconds():
        return None
    began = instant(int(np.interp(epoch, blocks, at)))
    known = np.array([point.known_at.timestamp() for point in difficulty])
    of_step = np.array([point.value for point in difficulty])[np.maximum(0, np.searchsorted(known, at[1:], side="right") - 1)]
    lately = at[1:] > at[-1] - PACE.total_seconds()
    hashes = float((np.diff(blocks) * of_step)[lately].sum()) * HASHES_PER_DIFFICULTY
    took_s = at[-1] - at[:-1][lately][0]
    chain = Chain(
        at=instant(int(at[-1])), height_blocks=int(blocks[-1]), difficulty=difficulty[-1].value, epoch_began_at=min(began, now)
    )
    return (chain, hashes / took_s / HASHES_PER_PH, fees[-1].value) if hashes > 0 else None


def _told(store: Store, kind: SeriesKind, now: datetime) -> list[SeriesPoint]:
    """Return what was told of the network lately, in order of when it was, each telling once."""
    for declared in store.series.declarations(kind):
        points = store.series.values(declared.name, now - LOOK_BACK, now + timedelta(days=1), known_by=now)
        if points:
            newest: dict[datetime, SeriesPoint] = {}
            for point in sorted(points, key=lambda p: (p.known_at, p.start)):
                newest.setdefault(point.known_at, point)
            return list(newest.values())
    return []
